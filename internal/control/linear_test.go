package control

import (
	"os"
	"postrider/internal/lineartest"
	"testing"
)

// R43: files of lines, and one line that is as long as the file.
func TestFilesAreReadInLinearTime(t *testing.T) {
	dir := t.TempDir()
	d := Dir(dir)
	lineartest.Check(t, lineartest.Size, func(text string) {
		if err := os.WriteFile(dir+"/f", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// Whether it is valid does not matter here.
		_, _, _ = d.List("f")
		_, _, _ = d.Map("f")
		_, _ = d.Line("f", "")
		_, _, _ = d.Text("f")
		d.Where("f", func(line string) bool { return line == "x" })
	}, lineartest.Units("a:b\n", "\n", "#\n", " \n", "a", " ", "\x00", "é\n"), lineartest.Around("a.example:b # c\n"))
}
