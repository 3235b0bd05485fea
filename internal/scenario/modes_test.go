package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost"
)

// TestOthersReadNoMessage looks at the files of messages that wait and of one
// that was delivered: they are for those who work on them. Programs that make
// them readable for everybody are found.
func TestOthersReadNoMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		mutant testhost.Mutant
		found  string
	}{
		{"sound", testhost.Mutant{}, ""},
		// The mask of the table covers a wrong mode, and the sandbox the mask.
		{"a mode alone", testhost.Mutant{
			Program: "qmail-spool", File: "qmail-queue/spool/draft.go", Old: "entryMode = 0o640", New: "entryMode = 0o644",
		}, ""},
		{"mode, mask and sandbox", testhost.Mutant{
			Program: "qmail-spool", File: "internal/durable/tree_linux.go",
			Old: "return t.open(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)",
			New: "unix.Umask(0)\n\treturn t.open(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode|0o644)",
		}, "/var/qmail/queue/new/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
			h.Control("concurrencylocal", "0")
			h.WriteFile("/home/bob/.qmail", "./Mailbox\n", 0o600)
			h.Chown("/home/bob/.qmail", "bob")
			if c.mutant.Program != "" {
				h.InstallMutant("../..", c.mutant)
			}
			if c.found != "" {
				h.Control("sandbox", "off")
			}
			h.StartSuite()
			for _, size := range []int{1, 100_000} {
				sendmail(h, "alice", []string{"bob"}, letter("bob", strings.Repeat("x", size)))
			}
			if n := len(h.Queue()); n != 2 {
				t.Fatalf("%d messages wait", n)
			}
			found := readableByOthers(t, h, "/var/qmail/queue")
			h.StopSuite()
			h.Control("concurrencylocal", "1")
			h.StartSuite()
			waitEmpty(t, h)
			h.StopSuite()
			found = append(found, readableByOthers(t, h, "/home/bob/Mailbox")...)
			for _, what := range found {
				if c.found == "" || !strings.HasPrefix(what, c.found) {
					t.Error(what)
				}
			}
			if c.found != "" && len(found) == 0 {
				t.Error("not found")
			}
		})
	}
}

// readableByOthers lists the regular files below a path that everybody may read
// or write.
func readableByOthers(t *testing.T, h *testhost.Host, below string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(h.Path(below), func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o006 != 0 {
			found = append(found, fmt.Sprintf("%s has mode %o", below+strings.TrimPrefix(path, h.Path(below)), st.Mode&0o7777))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
