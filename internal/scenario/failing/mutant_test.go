//go:build linux && amd64

package failing

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/faultcall"
	"postrider/internal/testhost"
)

// mutant is a fault in a program that a sweep must find.
type mutant struct {
	name     string
	program  string
	file     string // below the module's root
	old, new string
	class    faultcall.Class
}

var mutants = []mutant{
	{
		"a failed write is dropped", "qmail-spool", "internal/durable/tree_linux.go",
		`return done, pathError("write", f.name, err)`, `return size, nil`, faultcall.Write,
	},
	{
		"a failed sync is ignored", "qmail-spool", "internal/durable/group.go",
		"err := g.sync(b)\n", "err := g.sync(b)\n\t\terr = nil\n", faultcall.Sync,
	},
	{
		"a failed sync is repeated", "qmail-spool", "internal/durable/group.go",
		"err := g.sync(b)\n", "err := g.sync(b)\n\t\tif err != nil {\n\t\t\terr = g.sync(b)\n\t\t}\n", faultcall.Sync,
	},
	{
		"the answer comes before the sync", "qmail-spool", "qmail-queue/spool/commit.go",
		"d.s.group.Join(d.ticket, func(err error) {",
		"done(d.announcement(env), nil)\n\tdone = func(entries.Message, error) {}\n\td.s.group.Join(d.ticket, func(err error) {",
		faultcall.Sync,
	},
	{
		"a failed rename is ignored", "qmail-spool", "qmail-queue/spool/commit.go",
		"err = d.publish()", "_ = d.publish()", faultcall.Rename,
	},
}

// TestSweepsFindMutants: each of these programs with one fault in it is caught
// by the sweep that the real one passes.
func TestSweepsFindMutants(t *testing.T) {
	for _, m := range mutants[:testhost.Times(t, "mutants", 3, len(mutants))] {
		t.Run(m.name, func(t *testing.T) {
			r := newRig(t, "alice")
			r.replace(m)
			r.host.Control("concurrencylocal", "0")
			r.start()
			r.run(sweep{
				name: m.name, program: m.program, classes: []faultcall.Class{m.class},
				do: func(o faultcall.Order) bool { return r.underSMTP(o, sizes[0]) },
			})
			r.restart(func() { r.host.Control("concurrencylocal", "20") })
			r.settleOrNot()
			r.judge()
			if len(r.problems) == 0 {
				t.Error("not found")
				return
			}
			t.Logf("found %d times, first: %s", len(r.problems), r.problems[0])
		})
	}
}

// settleOrNot drains a queue that a mutant may have made such that it cannot
// be drained.
func (r *rig) settleOrNot() {
	r.t.Helper()
	ctx := testhost.Within(r.t, patient/4)
	if err := r.host.WaitForEmptyQueue(ctx); err != nil {
		r.wrong("the queue does not empty: %v", r.host.Queue())
	}
}

// replace installs a program built with the mutant's fault.
func (r *rig) replace(m mutant) {
	r.t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		r.t.Fatal(err)
	}
	source := filepath.Join(root, m.file)
	text, err := os.ReadFile(source)
	if err != nil {
		r.t.Fatal(err)
	}
	if strings.Count(string(text), m.old) != 1 {
		r.t.Fatalf("%s does not hold %q once", m.file, m.old)
	}
	dir := r.t.TempDir()
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		r.t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		r.t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		r.t.Fatal(err)
	}
	outside, inside, err := testhost.Shared("mutants")
	if err != nil {
		r.t.Fatal(err)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-overlay", overlayFile, "-o", outside+"/"+m.program, "./cmd/"+m.program)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	r.host.Must("cp", inside+"/"+m.program, "/var/qmail/bin/"+m.program)
}
