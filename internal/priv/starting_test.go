package priv

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A child that was stopped ends its start, one that runs does not notice. Not
// parallel: what is stopped by other tests would be killed.
func TestWatchStartKillsTheStopped(t *testing.T) {
	runs := exec.Command("sleep", "1000")
	if err := runs.Start(); err != nil {
		t.Fatal(err)
	}
	started := watchStart(10 * time.Millisecond)
	for range 3 {
		stopped := exec.Command("/bin/sh", "-c", "kill -STOP $$")
		err := stopped.Run() // as a start waits for exec
		if status := stopped.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGKILL {
			t.Errorf("the stopped child: %v, %v", status, err)
		}
	}
	started()
	if err := runs.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := runs.Wait(); err == nil || runs.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("the child that runs: %v", err)
	}
}
