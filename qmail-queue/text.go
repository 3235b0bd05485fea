package qmailqueue

import (
	"golang.org/x/sys/unix"

	"postrider/internal/enqueue"
)

// textFD is the descriptor on which a caller reads why a message was refused
// (spec section 1.3, notqmail). Most callers have none.
const textFD = 6

// maxText is the longest text that a caller reads.
const maxText = 255

// textWanted tells whether the caller gave us a pipe to write to. It is asked
// before anything of ours could have the number.
func textWanted() bool {
	var st unix.Stat_t
	if err := unix.Fstat(textFD, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return false
	}
	flags, err := unix.FcntlInt(textFD, unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return false
	}
	mode, err := unix.FcntlInt(textFD, unix.F_GETFL, 0)
	return err == nil && mode&unix.O_ACCMODE != unix.O_RDONLY
}

// report returns the exit code for err, and tells the caller more if there is
// more to tell and a pipe to tell it.
func report(err error, hasText bool) int {
	text := enqueue.Explanation(err)
	if text == "" || !hasText {
		return codeOf(err)
	}
	// A caller that does not read must not hold us up.
	poll := []unix.PollFd{{Fd: textFD, Events: unix.POLLOUT}}
	if n, pollErr := unix.Poll(poll, 0); pollErr != nil || n != 1 || poll[0].Revents&unix.POLLOUT == 0 {
		return codeOf(err)
	}
	b := []byte(text)
	b = b[:min(len(b), maxText)]
	if n, writeErr := unix.Write(textFD, b); writeErr != nil || n != len(b) {
		return codeOf(err)
	}
	return enqueue.ExitCustom
}
