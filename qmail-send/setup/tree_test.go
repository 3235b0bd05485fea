package setup

import (
	"path/filepath"
	"testing"

	"postrider/internal/priv"
	"postrider/internal/queuedir"
)

// The queue's own package says what must be there.
func TestTreeIsWhatTheQueueNeeds(t *testing.T) {
	t.Parallel()
	layout := queuedir.At("/var/qmail")
	need := []string{layout.Root, layout.Tmp(), layout.Bad(), layout.BadUnacked(), layout.Drop(), layout.SpoolLock(), layout.SendLock()}
	for i := range queuedir.Buckets {
		need = append(need, layout.NewDir(queuedir.BucketName(i)), layout.InfoDir(queuedir.BucketName(i)))
	}
	tree := make(map[string]bool)
	for _, e := range priv.Tree() {
		tree[filepath.Join("/var/qmail", e.Path)] = true
	}
	for _, path := range need {
		if !tree[path] {
			t.Errorf("%s is not laid out", path)
		}
	}
	if tree[filepath.Join(layout.Root, "new", "100")] {
		t.Error("there are more buckets than the queue has")
	}
}
