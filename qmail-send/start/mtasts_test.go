package start

import (
	"testing"

	"postrider/internal/wire/parent"
)

// qmail-mtasts is there if it is wanted, with a link to each worker.
func TestMTASTSIsInThePlan(t *testing.T) {
	t.Parallel()
	for _, wanted := range []bool{true, false} {
		p := newPlan(settings{remotes: 3, asksMTASTS: wanted})
		links := 0
		for _, l := range p.links {
			if l.a.role.Program == "qmail-remote" && l.aName == parent.MTASTS && l.b.name == "qmail-mtasts" && l.bName == parent.MTASTSRemote(links) {
				links++
			}
		}
		if there := p.member("qmail-mtasts") != nil; there != wanted || wanted && links != 3 || !wanted && links > 0 {
			t.Errorf("wanted %v: there %v, %d links", wanted, there, links)
		}
	}
}
