package progress

import (
	"strings"
	"testing"
	"time"

	"postrider/internal/queuedir"
)

// Many recipients and attempts do not fill the disk.
func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	at := time.Unix(1795307856, 0)
	var u Unwritten
	for i := range 100_000 {
		u.Tried(0, i, at, strings.Repeat("x", i%3000))
	}
	if _, reasons := u.Seal(0); len(reasons) == 0 || len(reasons) > maxTried+2*queuedir.MaxReason {
		t.Errorf("an attempt adds %d bytes", len(reasons))
	}
	u = Unwritten{}
	u.Tried(maxTriedFile+1, 0, at, "x")
	if _, reasons := u.Seal(0); len(reasons) > 0 {
		t.Error("a large file grows on")
	}
}
