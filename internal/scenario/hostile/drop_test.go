package hostile

import (
	"fmt"
	"testing"

	"postrider/internal/testhost"
)

// TestDropDirectoryUnderAttack: everything that is no message, changing while
// it is read, and a great number of files.
func TestDropDirectoryUnderAttack(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	before := g.daemons()
	seconds := testhost.Times(t, "seconds of attack on the drop directory", 4, 300)
	files := testhost.Times(t, "files in it", 2_000, 100_000)
	f := g.flow()
	r := g.attack(testhost.Within(t, soon*20), "drop", fmt.Sprint(seconds))
	if r.Stdout != "" {
		t.Errorf("may: %s", r.Stdout)
	}
	r, err := g.Run(testhost.Within(t, soon*20), testhost.Command{User: "mallory", Argv: []string{"sh", "-c",
		fmt.Sprintf(`cd %s; i=0; while [ $i -lt %d ]; do : > $(printf '%%032x' $i); i=$((i+1)); done`, dropDir, files)}})
	if err != nil || r.Code != 0 {
		t.Errorf("%v %v", r, err)
	}
	f.end("drop directory")
	g.unharmed(before)
	// What is sound is still taken in when the spool is away, hers too.
	g.StopSuite()
	g.send("mallory", "bob", "honest")
	g.StartSuite()
	g.Maildir("bob").Wait(testhost.Within(t, 2*soon), 1)
	g.StopSuite()
}
