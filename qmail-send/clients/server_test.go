package clients

import (
	"testing"

	"postrider/qmail-send/progress"
)

// Users do not keep operators out, nor one user the others.
func TestManageLimits(t *testing.T) {
	t.Parallel()
	g := New(Loop{}, nil, []string{"999", "1000"})
	stranger := progress.Client{UID: 1000}
	if !g.isStranger(stranger) || g.isStranger(progress.Client{UID: 99}) || g.isStranger(progress.Client{UID: 1000, Operator: true}) {
		t.Error("who takes in mail of the network is not known by his number")
	}
	admitted := 0
	for uid := range uint32(100) {
		for range 3 {
			if g.admit(progress.Client{UID: uid + 1000}) {
				admitted++
			}
		}
		if n := g.byUID[uid+1000]; n > maxOfOneUser {
			t.Errorf("one user has %d connections", n)
		}
	}
	if admitted != maxUsers || !g.admit(progress.Client{UID: 0, Operator: true}) {
		t.Errorf("%d users, and no operator", admitted)
	}
	for uid := range uint32(maxUsers) {
		for g.byUID[uid+1000] > 0 {
			g.dismiss(progress.Client{UID: uid + 1000})
		}
	}
	if g.users != 0 || len(g.byUID) != 0 {
		t.Errorf("left: %d, %v", g.users, g.byUID)
	}
}
