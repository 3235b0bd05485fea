package lookup

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/control"
	"postrider/internal/dotqmail"
	"postrider/internal/fate"
	"postrider/internal/maildirsize"
	"postrider/internal/vpopmail"
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

// rules is what is to be known about homes.
type rules struct {
	breaks          string
	defaultDelivery string
	settings
}

// settings is what the control files say about homes.
type settings struct {
	dotForward bool
	vpopmail   vpopmail.Settings
}

// keepSettings keeps them as they are now: each recipient is one more question.
func keepSettings(dir control.Dir) *control.Cached[settings] {
	return control.NewCached(dir, []string{"dotforward", "vpopmail"}, func() (settings, error) {
		dotForward, err := dir.Int("dotforward", 0)
		if err != nil {
			return settings{}, err
		}
		domains, err := vpopmail.Load(dir)
		return settings{dotForward > 0, domains}, err
	})
}

// mailbox looks for the instructions of a user for an extension as qmail-local
// does (spec section 4.2).
func mailbox(user accounts.Recipient, r rules) (wire.Answer, error) {
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
	for candidate := range dotqmail.Candidates(user.Dash, user.Ext, r.breaks) {
		err := unix.Fstatat(home, candidate.Name, &st, 0)
		switch {
		case err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG:
			return r.follow(home, instructions(home, candidate.Name, r.defaultDelivery), user.Ext)
		case err == nil:
			continue // qmail-local passes it over
		case isHidden(err) || fate.IsTemporaryErrno(err):
			return hidden(os.NewSyscallError("stat .qmail file", err))
		}
	}
	if user.Dash != "" {
		return unknown, nil
	}
	if r.dotForward {
		// Whatever it says, qmail-local delivers nothing into a mailbox alone.
		if err := unix.Fstatat(home, ".forward", &st, 0); err != unix.ENOENT {
			return exists, nil
		}
	}
	return quota(home, r.defaultDelivery, maildirsize.Limit{}), nil
}

// follow is the answer for an address for which there are instructions.
func (r rules) follow(home int, text, ext string) (wire.Answer, error) {
	if fallback, understood := r.onlyVdelivermail(text); understood {
		return r.domain(home, fallback, ext)
	}
	return quota(home, text, maildirsize.Limit{}), nil
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
// Where a quota is kept elsewhere, that counts.
func quota(home int, text string, kept maildirsize.Limit) wire.Answer {
	path := onlyMaildir(text)
	if path == "" {
		return exists
	}
	text, _, err := readRegular(home, path+"maildirsize", maildirsize.MaxFile)
	if err != nil {
		return exists
	}
	limit, holds, err := maildirsize.Parse(text)
	if err == nil {
		limit, err = kept.Or(limit)
	}
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
	b := make([]byte, st.Size) // what is written meanwhile is for the next look
	n, err := io.ReadFull(descriptor(fd), b)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", 0, err
	}
	return string(b[:n]), st.Mode, nil
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
