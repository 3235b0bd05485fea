package explain

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// usualDelivery is that of qmail-start without arguments.
const usualDelivery = "./Mailbox"

// startedWith is the default delivery that the running qmail-start of an
// installation was told.
func startedWith(home string) string {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return usualDelivery
	}
	program := filepath.Join(home, "bin", "qmail-start")
	for _, name := range all {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		args := bytes.Split(bytes.TrimSuffix(text, []byte{0}), []byte{0})
		named := string(args[0])
		if exe, err := os.Readlink(filepath.Join(filepath.Dir(name), "exe")); err == nil {
			named = strings.TrimSuffix(exe, " (deleted)") // it was replaced meanwhile
		}
		if named == program && len(args) > 1 {
			return string(args[1])
		}
	}
	return usualDelivery
}
