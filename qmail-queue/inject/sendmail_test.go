package inject

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/world"
)

// TestFlagTable: each letter once, each refusal with a reason.
func TestFlagTable(t *testing.T) {
	t.Parallel()
	seen := map[byte]bool{}
	for _, f := range flags() {
		if seen[f.letter] {
			t.Errorf("-%c twice", f.letter)
		}
		seen[f.letter] = true
		if (f.why != "") != (f.effect == refused) {
			t.Errorf("-%c: reason %q", f.letter, f.why)
		}
	}
	for _, m := range runModes() {
		if m.why != "" && m.start != nil {
			t.Errorf("-b%s is refused and does something", m.name)
		}
	}
	for _, letter := range "tfrFiobNqvBeRVhOGUACdnXL" {
		if !seen[byte(letter)] {
			t.Errorf("-%c is missing", letter)
		}
	}
}

// TestEveryFlagHasACase: testdata/injections has each flag and each mode of
// the table.
func TestEveryFlagHasACase(t *testing.T) {
	t.Parallel()
	given := map[string]bool{}
	for _, file := range injectionFiles(t) {
		for _, c := range readInjections(t, file) {
			if programOf(filepath.Base(c.argv[0])) != "sendmail" {
				continue
			}
			for _, word := range c.argv[1:] {
				for _, n := range []int{2, len(word)} {
					if strings.HasPrefix(word, "-") && len(word) >= n {
						given[word[:n]] = true
					}
				}
			}
		}
	}
	for _, f := range flags() {
		if !given["-"+string([]byte{f.letter})] {
			t.Errorf("no case has -%c", f.letter)
		}
	}
	for _, m := range runModes() {
		if !given["-b"+m.name] {
			t.Errorf("no case has -b%s", m.name)
		}
	}
}

// TestReportsAskedFor: what -N, -R and -V say is in the envelope (RFC 3461).
func TestReportsAskedFor(t *testing.T) {
	t.Parallel()
	dir := home(t, usualControl)
	if err := os.MkdirAll(dir+"/queue/drop", 0o755); err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	writeFile(t, dir+"/message", "hi\n")
	message, err := os.Open(dir + "/message")
	if err != nil {
		t.Fatal(err)
	}
	defer message.Close()
	w := world.World{
		Args:    strings.Fields("sendmail -N delay,failure -Rhdrs -VQQ314 joe jim@x.org"),
		Environ: []string{"USER=user"}, Stdin: message, Stdout: null, Stderr: null, Home: dir, Clock: fixedClock{},
	}
	if code := Sendmail(w); code != exitDone {
		t.Fatalf("exit %d", code)
	}
	drops, err := filepath.Glob(dir + "/queue/drop/*")
	if err != nil || len(drops) != 1 {
		t.Fatalf("%q is in drop/, error %v", drops, err)
	}
	const want = "Fuser@me.example.org\x00rHDRS\x00eQQ314\x00NFAILURE,DELAY\x00Tjoe@me.example.org\x00NFAILURE,DELAY\x00Tjim@x.org\x00\x00"
	if text := readFile(t, drops[0]); !strings.Contains(text, want) {
		t.Errorf("%q is left, without %q", text, want)
	}
}
