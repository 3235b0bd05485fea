package load

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// sendmail calls o.Argv o.Messages times, one after another, with a message to
// the first recipient as its input: a file, as from a shell's "<". A time is
// from before the fork until the exit is known.
func sendmail(o Order, _ io.Reader, say func(Answer)) error {
	message := bytes.ReplaceAll(text(o.Size, o.Recipients[0]), []byte("\r\n"), []byte("\n"))
	message = bytes.TrimSuffix(message, []byte(".\n"))
	input, err := os.CreateTemp("", "message")
	if err != nil {
		return err
	}
	defer input.Close()
	if err := os.Remove(input.Name()); err != nil {
		return err
	}
	if _, err := input.Write(message); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	a := Answer{Began: time.Now()}
	for range o.Messages {
		if _, err := input.Seek(0, io.SeekStart); err != nil {
			return err
		}
		// Files, not pipes: nothing must be read while the time runs, and what
		// sendmail leaves in the background may keep them.
		cmd := exec.Cmd{Path: o.Argv[0], Args: o.Argv, Dir: "/", Stdin: input, Stdout: null, Stderr: os.Stderr, Env: os.Environ()}
		if o.Root != "" {
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: o.Root}
		}
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%v: %w", o.Argv, err)
		}
		a.Millis = append(a.Millis, millis(time.Since(start)))
	}
	a.Ended, a.Count = time.Now(), len(a.Millis)
	say(a)
	return nil
}
