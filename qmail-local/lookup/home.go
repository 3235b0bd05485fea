package lookup

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/dotqmail"
	"postrider/internal/fate"
	"postrider/internal/maildirsize"
	wire "postrider/internal/wire/lookup"
)

const (
	// deferringMode are the bits of a home for which qmail-local puts mail off:
	// others can write it, or its user is editing (spec section 4.6).
	deferringMode = 0o002 | unix.S_ISVTX
	// maxInstructions is the largest instruction file that is looked into.
	maxInstructions = 64 << 10
	forwardMode     = 0o100
)

// mailbox looks for the instructions of a user for an extension as qmail-local
// does (spec section 4.2).
func mailbox(user accounts.Recipient, breaks, defaultDelivery string, dotForward bool) (wire.Answer, error) {
	home, err := unix.Open(user.Home, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return hidden(os.NewSyscallError("open home directory", err))
	}
	defer unix.Close(home)
	var st unix.Stat_t
	if err := unix.Fstatat(home, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return wire.Answer{}, os.NewSyscallError("stat home directory", err)
	}
	if st.Mode&deferringMode != 0 {
		return exists, nil
	}
	for candidate := range dotqmail.Candidates(user.Dash, user.Ext, breaks) {
		err := unix.Fstatat(home, candidate.Name, &st, 0)
		switch {
		case err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG:
			return quota(home, instructions(home, candidate.Name, defaultDelivery)), nil
		case err == nil:
			continue // qmail-local passes it over
		case isHidden(err) || fate.IsTemporaryErrno(err):
			return hidden(os.NewSyscallError("stat .qmail file", err))
		}
	}
	if user.Dash != "" {
		return unknown, nil
	}
	if dotForward {
		// Whatever it says, qmail-local delivers nothing into a mailbox alone.
		if err := unix.Fstatat(home, ".forward", &st, 0); err != unix.ENOENT {
			return exists, nil
		}
	}
	return quota(home, defaultDelivery), nil
}

// hidden is the answer where this process cannot look: the user could.
func hidden(err error) (wire.Answer, error) {
	if isHidden(err) {
		return exists, nil
	}
	return wire.Answer{}, err
}

func isHidden(err error) bool { return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) }

// instructions returns what an instruction file says, or nothing if that is
// not for this process to read.
func instructions(home int, name, defaultDelivery string) string {
	text, mode, err := readRegular(home, name, maxInstructions)
	switch {
	case err != nil, mode&forwardMode != 0:
		return ""
	case text == "":
		return defaultDelivery
	}
	return text
}

// quota is the answer for a mailbox that exists: it is full if all that its
// instructions do is to deliver into a Maildir, which has a quota and has
// reached it. The programs that read the mailbox keep the count (Maildir++).
func quota(home int, text string) wire.Answer {
	path := onlyMaildir(text)
	if path == "" {
		return exists
	}
	text, _, err := readRegular(home, path+"maildirsize", maildirsize.MaxFile)
	if err != nil {
		return exists
	}
	limit, holds, err := maildirsize.Parse(text)
	if err != nil || !holds.Reaches(limit) {
		return exists
	}
	return wire.Answer{Verdict: wire.Full, Text: "maildirsize"}
}

// onlyMaildir returns the Maildir that is all instructions, if so.
func onlyMaildir(text string) (path string) {
	for i := range dotqmail.Instructions(text, false) {
		if i.Kind != dotqmail.Maildir || path != "" {
			return ""
		}
		path = i.Text
	}
	return path
}

var errNotRegular = errors.New("no regular file, or too large")

// readRegular reads a file that belongs to anybody: a FIFO or a device there is
// opened without waiting, and not read.
func readRegular(dir int, name string, most int64) (text string, mode uint32, err error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > most {
		return "", 0, errNotRegular
	}
	var b strings.Builder
	if _, err := io.Copy(&b, io.LimitReader(descriptor(fd), most)); err != nil {
		return "", 0, err
	}
	return b.String(), st.Mode, nil
}

// descriptor reads without an os.File, which would cost more than the file has
// bytes.
type descriptor int

func (fd descriptor) Read(p []byte) (int, error) {
	n, err := unix.Read(int(fd), p)
	if err != nil {
		return 0, err
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
