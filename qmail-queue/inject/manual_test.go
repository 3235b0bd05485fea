package inject

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// manual returns a manual page.
func manual(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/man/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestManuals: the manual pages have every option and exit code there is.
func TestManuals(t *testing.T) {
	t.Parallel()
	var options strings.Builder // the words of lines that name options
	page := manual(t, "sendmail.8")
	for line := range strings.SplitSeq(page, "\n") {
		if strings.HasPrefix(line, ".It Fl ") || strings.HasPrefix(line, ".Fl ") {
			options.WriteString(" " + line + " ")
		}
	}
	for _, f := range flags() {
		if f.effect != mode && !strings.Contains(options.String(), " "+string([]byte{f.letter})+" ") {
			t.Errorf("sendmail.8 does not have -%c", f.letter)
		}
	}
	for _, m := range runModes() {
		if !strings.Contains(options.String(), " b"+m.name+" ") {
			t.Errorf("sendmail.8 does not have -b%s", m.name)
		}
	}
	for _, letter := range "aAhHnNf" {
		if !strings.Contains(manual(t, "qmail-inject.8"), "\n.It Fl "+string(letter)) {
			t.Errorf("qmail-inject.8 does not have -%c", letter)
		}
	}
	for name, codes := range map[string][]int{
		"sendmail.8":     {exitDone, exitUsage, exitData, exitNoUser, exitOS, exitUnsure},
		"qmail-inject.8": {exitDone, exitPermanent, exitTemporary},
		"mailsubj.1":     {exitDone, exitPermanent, exitTemporary},
	} {
		for _, code := range codes {
			if !strings.Contains(manual(t, name), "\n.It "+strconv.Itoa(code)+"\n") {
				t.Errorf("%s does not have exit code %d", name, code)
			}
		}
	}
}
