package spool

import (
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/queuedir"
)

// TestLeftoversAreTold: the start says on one line what it finds of a former
// process or of a restore of parts, and nothing where there is nothing.
func TestLeftoversAreTold(t *testing.T) {
	t.Parallel()
	l := makeQueue(t)
	put := func(name string) {
		t.Helper()
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start := func() string {
		t.Helper()
		q := reopenQueue(t, l)
		q.store.sweep()
		q.store.tellLeft()
		return strings.Join(q.lines, "\n")
	}
	put(l.Answered())
	id := queuedir.NewID(time.Unix(1e9, 0), 1, 7)
	put(l.Staged(id))
	if said := start(); said != "" {
		t.Errorf("of a queue that was left in order: %s", said)
	}
	put(l.Tmp() + "/" + id.String())
	put(l.Tmp() + "/" + id.String() + queuedir.BodySuffix)
	put(l.Body(queuedir.NewID(time.Unix(1e9, 0), 2, 7)))
	put(l.NewDir("08") + "/" + id.String()) // in the bucket of others
	put(l.Bad() + "/" + id.String())
	put(l.Bad() + "/" + id.String() + queuedir.BodySuffix)
	put(l.BadUnacked() + "/" + id.String())
	const want = `left behind: in tmp/, removed: 2; bodies without their message, removed: 1; names in new/ of no message, which stay: 1, such as "new/08/`
	if said := start(); !strings.HasPrefix(said, want+id.String()+`"; in bad/: 1; see qmail-queuectl check`) || strings.Count(said, "\n") > 0 {
		t.Errorf("said:\n%s", said)
	}
}
