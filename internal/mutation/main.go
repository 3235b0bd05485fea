// Mutation tells what the tests of a package would not notice: it makes many
// small changes to its code, one at a time, and runs its tests with each.
//
//	go run ./internal/mutation [-timeout time] [-run regexp] [-only regexp] [-v] ./internal/queuedir ...
//
// timeout   for the tests of one mutant (default: 20 times what they take
//
//	without one, and at least 20 s)
//
// run       only these tests
// only      only the mutants whose name, as it is printed, matches
// v         every mutant, not only those that survived
//
// Changes are: a condition is true, or false; a comparison is another one, its
// boundary or its opposite; && is ||; a not is missing; an operator of numbers
// is another one; a statement (a call, an assignment, a break) is left out. A
// mutant is killed if the tests fail, or do not end in time. What does not
// compile is none.
//
// The file "equivalent" beside this one has the mutants that no test can kill,
// since they do the same, each with its reason; who adds one has looked at it.
//
// All mutants of a package are in one test program, which is built once, from
// copies: nothing in the tree changes. As root each run has its own space of
// process numbers, and a /proc of that, so that a mutant that kills others, or a
// test that writes to a process's files there, reaches nobody else.
// The exit code is 1 if one survived that is not known to be equivalent.
//
// Files: main.go (order and what is printed), build.go (the test program),
// mutate.go (the changes), equivalent.go (the list).
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// variable says which mutant is on: its number, or 0 for none.
	variable = "MUTANT"
	// reachedVariable names a file with a byte for each mutant.
	reachedVariable = "MUTANTS_REACHED"
)

const (
	slower      = 20
	leastTime   = 20 * time.Second
	atOnce      = time.Second     // tests that run together take about so long
	waitForEnds = 5 * time.Second // who keeps our pipes open
)

// inside, as the first argument, says that this is the process of a run, which
// becomes what the others say.
const inside = "-inside-its-own-space"

func main() {
	runInside()
	runtime.LockOSThread() // the thread that Pdeathsig is about: the main one
	o := options{}
	flag.DurationVar(&o.timeout, "timeout", 0, "for the tests of one mutant")
	flag.StringVar(&o.tests, "run", "", "only these tests")
	flag.Func("only", "only the mutants whose name matches", func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
	flag.BoolVar(&o.verbose, "v", false, "print every mutant")
	flag.Parse()
	survived := 0
	for _, dir := range flag.Args() {
		n, err := o.mutate(dir)
		if err != nil {
			fmt.Fprintf(os.Stderr, "mutation: %s: %v\n", dir, err)
			os.Exit(2)
		}
		survived += n
	}
	if survived > 0 {
		os.Exit(1)
	}
}

type options struct {
	timeout time.Duration
	tests   string
	only    *regexp.Regexp // nil: all
	verbose bool
}

// mutate runs the tests of the package in dir with each of its mutants, and
// returns how many survived.
func (o options) mutate(dir string) (survived int, err error) {
	work, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work) // best effort
	// Children of tests run as other users, with mutants as well.
	if err := os.Chmod(work, 0o711); err != nil {
		return 0, err
	}
	p, err := buildMutants(dir, work)
	if err != nil {
		return 0, err
	}
	same, err := readEquivalent()
	if err != nil {
		return 0, err
	}
	tests, err := o.survey(p, work)
	if err != nil {
		return 0, err
	}
	var tried, killed, late, equivalent int
	for i, name := range p.names() {
		m := p.mutants[i]
		if o.only != nil && !o.only.MatchString(name) {
			continue
		}
		tried++
		r := o.try(p, work, tests, m.id)
		why, known := same[name]
		switch {
		case r == failed:
			killed++
		case r == tooLate:
			late++
		case known:
			equivalent++
			r = why
		default:
			survived++
		}
		if o.verbose || r != failed && !known {
			fmt.Printf("line %d, %s: %s\n", m.line, r, name)
		}
	}
	fmt.Printf("%s: %d mutants: %d killed, %d by the time limit, %d equivalent, %d survived\n",
		p.where, tried, killed+late, late, equivalent, survived)
	return survived, nil
}

// test is a test of a package.
type test struct {
	name    string
	took    time.Duration
	reaches []byte // by mutant: 1 if it does
}

// survey runs each test alone, without a mutant.
func (o options) survey(p program, work string) (tests []test, err error) {
	list := exec.Command(p.path, "-test.list", cmp.Or(o.tests, "."))
	list.Dir = p.dir
	names, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the tests: %w", err)
	}
	reached := filepath.Join(work, "reached")
	for _, name := range strings.Fields(string(names)) {
		if strings.HasPrefix(name, "Benchmark") {
			continue
		}
		if err := errors.Join(os.WriteFile(reached, make([]byte, len(p.mutants)+1), 0o666), os.Chmod(reached, 0o666)); err != nil {
			return nil, err
		}
		begun := time.Now()
		if r := o.test(p, work, "^"+name+"$", 0, time.Hour); r != lived {
			return nil, fmt.Errorf("%s does not pass without a mutant", name)
		}
		t := test{name: name, took: time.Since(begun)}
		if t.reaches, err = os.ReadFile(reached); err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	// The quick ones first: what they kill need not wait for others.
	slices.SortFunc(tests, func(a, b test) int { return cmp.Compare(a.took, b.took) })
	return tests, os.Remove(reached)
}

// try runs the tests that reach a mutant: the quick ones, and if it survives
// them the others.
func (o options) try(p program, work string, tests []test, id int) string {
	r := unreached
	for names, took := []string{}, time.Duration(0); len(tests) > 0; names, took = nil, 0 {
		for len(tests) > 0 && (len(names) == 0 || took < atOnce) {
			if tests[0].reaches[id] != 0 {
				names = append(names, tests[0].name)
				took += tests[0].took
			}
			tests = tests[1:]
		}
		if len(names) == 0 {
			break
		}
		pattern := "^(" + strings.Join(names, "|") + ")$"
		if r = o.test(p, work, pattern, id, cmp.Or(o.timeout, max(leastTime, slower*took))); r != lived {
			break
		}
	}
	return r
}

// What became of a mutant; else the reason why it is equivalent.
const (
	lived     = "survived"
	unreached = "survived, no test reaches it"
	failed    = "killed"
	tooLate   = "too late"
)

// test runs some tests with one mutant.
func (o options) test(p program, work, pattern string, id int, timeout time.Duration) string {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	argv := []string{p.path, "-test.failfast", "-test.run=" + pattern}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if os.Geteuid() == 0 {
		cmd = exec.CommandContext(ctx, "/proc/self/exe", append([]string{inside}, argv...)...)
	}
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), variable+"="+strconv.Itoa(id), reachedVariable+"="+filepath.Join(work, "reached"), "TMPDIR="+work)
	// If we are killed, so is a mutant that would run for ever.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = waitForEnds
	said, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return lived
	case ctx.Err() != nil:
		return tooLate
	case id == 0:
		os.Stderr.Write(said)
	}
	return failed
}

// runInside does not return if this is the process of a run.
func runInside() {
	if len(os.Args) > 2 && os.Args[1] == inside {
		fmt.Fprintf(os.Stderr, "mutation: %v\n", becomeInside(os.Args[2:]))
		os.Exit(2)
	}
}

// becomeInside makes this process, the first of its space of process numbers, the
// program that argv says, and returns only with an error.
func becomeInside(argv []string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return fmt.Errorf("start %s: %w", argv[0], syscall.Exec(argv[0], argv, os.Environ()))
}
