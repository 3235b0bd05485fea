package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"postrider/internal/bench/report"
	"postrider/internal/testhost"
)

// emptyProgram is what the start of other programs is compared with.
const emptyProgram = "package main\n\nfunc main() {}\n"

// maxStart is how much longer than an empty program those may take that
// shells and .qmail files start.
const maxStart = 2.5

// starts is how often each program is started.
func starts() int {
	switch {
	case *quick:
		return 100
	case *runBench:
		return 400
	}
	return 10
}

// TestStartUp compares the start of programs with that of an empty one, in
// turns. What they are asked to do is nothing, or to refuse.
func TestStartUp(t *testing.T) {
	testhost.NeedRoot(t, "the suite installed with users of its own")
	if *runCurves {
		t.Skip("SKIPPED: -bench-curves measures the curves")
	}
	h := testhost.NewNetwork(t).Host("start.test")
	h.Install()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(emptyProgram), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", empty, "main.go")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bin := h.Path("/var/qmail/bin")
	programs := [][]string{
		{empty},
		{filepath.Join(bin, "sendmail")},    // no recipients: a complaint
		{filepath.Join(bin, "qmail-queue")}, // no message: exit 54 or 91
	}
	times := make([][]float64, len(programs))
	for range starts() {
		for i, argv := range programs {
			cmd := exec.Command(argv[0], argv[1:]...)
			start := time.Now()
			// The exit code says what it should: nothing to do.
			_ = cmd.Run()
			times[i] = append(times[i], float64(time.Since(start).Microseconds())/1000)
			if cmd.ProcessState == nil {
				t.Fatalf("%s cannot be started", argv[0])
			}
		}
	}
	base := report.Median(times[0])
	fmt.Printf("start-up, median of %d in turns: empty Go program %.2f ms", len(times[0]), base)
	for i, argv := range programs[1:] {
		ratio := report.Median(times[i+1]) / base
		fmt.Printf("; %s %.2f ms (%.2f x)", filepath.Base(argv[0]), report.Median(times[i+1]), ratio)
		if *runBench && ratio > maxStart {
			t.Errorf("%s takes %.2f times as long as an empty program", argv[0], ratio)
		}
	}
	fmt.Println()
}
