package scenario

import (
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

// TestProgramsOfADeadWorkerEndWhereProcHidesThem kills a worker while /proc
// shows nobody the processes of others.
func TestProgramsOfADeadWorkerEndWhereProcHidesThem(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Must("mount", "-o", "remount,hidepid=2", "/proc")
	h.StartSuite()
	own(h, "alice", ".qmail", "|sleep 1234; sleep 1234\n")
	sendmail(h, "alice", []string{"alice"}, letter("alice", "m"))
	ctx := testhost.Within(t, soon)
	for len(h.Find("sleep")) == 0 {
		if ctx.Err() != nil {
			t.Fatalf("the program does not run\n%s", h.Log().Timed(0))
		}
		pause(ctx)
	}
	h.Must("rm", "/home/alice/.qmail")
	first := h.Log().Len()
	h.Kill("qmail-local", syscall.SIGKILL)
	h.WaitForLog(first, `deferral: qmail-local_crashed`)
	for len(h.Find("sleep")) != 0 {
		if ctx.Err() != nil {
			t.Fatal("the program of a dead worker runs on")
		}
		pause(ctx)
	}
	h.StopSuite()
}
