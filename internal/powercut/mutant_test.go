package powercut

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// mutants are programs of the suite, really built from a source in which one
// thing is wrong.
var mutants = []struct {
	name, program string
	file          string // below the module's root
	right, wrong  string
	rule          Rule
	work          func(*recording)
}{
	{"directories are not synced", "qmail-spool", "internal/durable/group.go",
		"	return g.syncDirectories(b.dirs)\n", "	return nil\n", Lost, fewDeliveries},
	{"files are not synced", "qmail-local", "internal/durable/group.go",
		"	if err := g.each(b.files); err != nil {\n		return err\n	}\n", "", Partial, fewDeliveries},
	{"the yes comes before the sync", "qmail-spool", "qmail-queue/spool/commit.go",
		"	d.s.group.Join(d.ticket, func(err error) {\n", "	done(d.announcement(env), nil)\n	done = func(entries.Message, error) {}\n	d.s.group.Join(d.ticket, func(err error) {\n", Lost, fewDeliveries},
	{"orders for many are not synced", "qmail-send", "qmail-send/progress/editor.go",
		"	err := w.recorder.group.Bulk(ticket, last.file)\n", "	_ = ticket\n	var err error\n", Forgotten, ordersForMany},
}

func fewDeliveries(r *recording) { r.through(r.compose(600, "alice"), r.compose(70_000, "alice")) }

// TestMutantsAreFound records suites with a program that breaks the promise,
// and sees that the states of their traces show it.
func TestMutantsAreFound(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.concurrency(20)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			mutant := buildMutant(t, m.program, m.file, m.right, m.wrong)
			s := &station{t: t, host: s.host, sink: s.sink, relay: s.relay, relayAt: s.relayAt}
			s.clean()
			s.host.Must("cp", "/var/qmail/bin/"+m.program, "/var/qmail/right")
			s.host.Must("cp", mutant, "/var/qmail/bin/"+m.program)
			trace, c := s.record(Case{}, m.work)
			s.host.Must("mv", "/var/qmail/right", "/var/qmail/bin/"+m.program)
			for _, model := range []Model{Ordered, Unordered} {
				result := Explore(trace, c, model, limits(trace), nil)
				if broken, found := result.Broken[m.rule]; found {
					t.Logf("%v: %d of %d states; %v", model, result.Counts[m.rule], result.States, broken)
				} else {
					t.Errorf("%v: not found in %d states: %v", model, result.States, result.Counts)
				}
			}
		})
	}
}

// buildMutant builds a program with one change of one file and returns its
// name on hosts.
func buildMutant(t *testing.T, program, file, right, wrong string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), right) != 1 {
		t.Fatalf("%s does not have, once: %s", file, right)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), right, wrong, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, file): changed}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	outside, inside, err := testhost.Shared("mutants")
	if err != nil {
		t.Fatal(err)
	}
	name := program + "-" + strings.ReplaceAll(filepath.Base(t.Name()), "/", "-")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-overlay", filepath.Join(dir, "overlay"),
		"-o", filepath.Join(outside, name), "./cmd/"+program)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build.Args, err, out)
	}
	return filepath.Join(inside, name)
}
