package inject

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"postrider/internal/enqueue"
	"postrider/internal/fate"
)

// A queue that cannot take the message is told with what failed, for whoever
// has to mend it.
func TestReport(t *testing.T) {
	t.Parallel()
	home := home(t, usualControl) // neither a spool nor a drop directory
	s, err := enqueue.Begin(enqueue.Options{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	_, noDrop := s.Commit()
	_, noHome := enqueue.Begin(enqueue.Options{Home: "/nowhere", QueueProgram: "/bin/true"})
	for _, tc := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"no drop directory", noDrop, 111, "x: fatal: qq trouble creating files in queue (#4.3.0): create a file in " + home + "/queue/drop/: no such file or directory"},
		{"no home", noHome, 111, "x: fatal: qq trouble in home directory (#4.3.0): enter /nowhere: no such file or directory"},
		{"refused", refuse("no"), 100, "x: fatal: no"},
		{"trouble", trouble("unable to read message", errors.New("broken")), 111, "x: fatal: unable to read message: broken"},
		{"unclassified", errors.New("odd"), 111, "x: fatal: odd"},
		{"from elsewhere", fate.Perm("1.1", "never", "look", errors.New("cause")), 100, "x: fatal: never"},
	} {
		var out bytes.Buffer
		code := report(&out, "x", qmailExits, tc.err)
		if got := strings.TrimSuffix(out.String(), "\n"); code != tc.code || got != tc.want {
			t.Errorf("%s: exit %d, %q; want %d, %q", tc.name, code, got, tc.code, tc.want)
		}
	}
}
