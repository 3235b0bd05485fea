package precedence

import "testing"

func TestSaysBulk(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"Precedence: bulk": true, "PRECEDENCE \t: \tList \r": true, "precedence:junk": true, "Precedence: first-class": false,
		"Precedence: bulky": false, "Precedence": false, "List-Id: <x>": true, "list-unsubscribe: <x>": true, "Mailing-List: x": true,
		" List-Id: x": false, "List: x": false, "Listen: x": false, "": false, ":": false, "list-id x y: z": false,
	} {
		if got := SaysBulk(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
