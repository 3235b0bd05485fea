package spool

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
)

// Whatever stands in the place of a directory of messages, one message is refused
// for the moment, those after it go elsewhere, and the log says what to do; a start
// goes past it.
func TestBucketThatIsNoDirectory(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(string) error{
		"a file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a pipe": func(path string) error { return unix.Mkfifo(path, 0o666) },
		"a link": func(path string) error { return os.Symlink("/nowhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := startQueue(t)
			first, err := samples[0].put(q.store)
			if err != nil {
				t.Fatal(err)
			}
			dir := q.layout.NewDir(first.ID.Bucket())
			if err := os.Rename(dir, dir+".away"); err != nil {
				t.Fatal(err)
			}
			if err := put(dir); err != nil {
				t.Fatal(err)
			}
			for i := range namesInRow {
				if m, err := samples[0].put(q.store); (err != nil) != (i == 0) {
					t.Fatalf("message %d after that: %s, %v", i, m.ID, err)
				}
			}
			q.store.sweep()
			if want := layout.NewDir(first.ID.Bucket()) + ": not a directory; no mail can be queued there: " + queuedir.DirAdvice; !q.logged(want) {
				t.Errorf("not logged: %s\n%q", want, q.lines)
			}
			reopenQueue(t, q.layout)
		})
	}
}
