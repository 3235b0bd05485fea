package bench

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

var syncDone = regexp.MustCompile(`(?m)(?:(?:fsync|fdatasync|syncfs)(?:\(| resumed>).*= 0|io_submit(?:\(| resumed>).*= [1-9]\d*)$`)

// traceFile is in the host's memory, so that writing it syncs nothing.
const traceFile = "/tmp/syncs"

// syncsPerMessage counts how often the whole suite asks for syncs, of one file
// or of many at a time (io_submit), for messages of W1.
// Tracing makes it slow, so that this is a turn of its own.
func syncsPerMessage(t *testing.T, turn *turn) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stepLimit)
	defer cancel()
	if err := turn.freshen(ctx); err != nil {
		t.Error(err)
		return 0
	}
	count, err := turn.countSyncs(ctx)
	if err != nil {
		t.Error(err)
	}
	if err := turn.tidy(ctx); err != nil {
		t.Error(err)
	}
	return count
}

func (t *turn) countSyncs(ctx context.Context) (float64, error) {
	var traced []int
	argv := []string{"strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,syncfs,io_submit", "-o", traceFile}
	for _, p := range t.y.host.Processes() {
		if strings.HasPrefix(p.Name, "qmail-") {
			argv = append(argv, "-p", fmt.Sprint(p.PID))
			traced = append(traced, p.PID)
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	tracer, err := t.y.host.Start(testhost.Command{Argv: argv, Files: []*os.File{null, null, null}})
	if err != nil {
		return 0, err
	}
	for _, pid := range traced {
		if err := t.y.awaitTracer(ctx, pid); err != nil {
			return 0, err
		}
	}
	n := t.plan.messages / 5
	if err := t.inject(ctx, mailUsers(1), n, t.p.sessions, smallSize); err != nil {
		return 0, err
	}
	if _, err := t.y.delivered(ctx, upTo(1), n); err != nil {
		return 0, err
	}
	if err := t.p.drained(ctx); err != nil {
		return 0, err
	}
	if err := tracer.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	if _, err := tracer.Wait(ctx); err != nil {
		return 0, err
	}
	trace := t.y.host.ReadFile(traceFile)
	return float64(len(syncDone.FindAllString(trace, -1))) / float64(n), nil
}

// awaitTracer waits until a process of the host is traced.
func (y *yard) awaitTracer(ctx context.Context, pid int) error {
	for {
		status, err := os.ReadFile(y.host.Path(fmt.Sprintf("/proc/%d/status", pid)))
		if err != nil || !strings.Contains(string(status), "TracerPid:\t0\n") {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("strace does not attach to process %d: %w", pid, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
