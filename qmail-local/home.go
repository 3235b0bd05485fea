package qmaillocal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/dotqmail"
	"postrider/internal/fate"
	"postrider/internal/wire/steps"
)

const (
	// forbiddenMode are the bits that neither a home nor a .qmail file may
	// have (conf-patrn, spec section 0.4).
	forbiddenMode = 0o002
	stickyMode    = unix.S_ISVTX
	forwardMode   = 0o100
	// maxInstructions is the largest instruction file that is followed.
	maxInstructions = 4 << 20
)

// openHome opens the home directory. It needs only the right to pass through,
// as a change of directory does.
func (d *delivery) openHome() (closeHome func(), err error) {
	fd, err := retryFD(func() (int, error) {
		return unix.Open(d.home, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, temporary("open "+d.home, err, "Unable to switch to %s: %s. (#4.3.0)", d.home, reason(err))
	}
	d.homeDir = fd
	return func() { _ = unix.Close(fd) }, nil
}

// checkHome refuses a home that others can write, or whose user has said that
// he is editing (spec section 4.6).
func (d *delivery) checkHome() error {
	var st unix.Stat_t
	if err := unix.Fstatat(d.homeDir, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return temporary("stat "+d.home, err, "Unable to stat home directory: %s. (#4.3.0)", reason(err))
	}
	if st.Mode&forbiddenMode != 0 {
		return temporary("check home", nil, "Uh-oh: home directory is writable. (#4.7.0)")
	}
	if st.Mode&stickyMode == 0 {
		return nil
	}
	if d.dryRun {
		_, err := io.WriteString(d.out, "Warning: home directory is sticky.\n")
		return err
	}
	return temporary("check home", nil, "Home directory is sticky: user is editing his .qmail file. (#4.2.1)")
}

// instructions are what was found for the address.
type instructions struct {
	all        iter.Seq[dotqmail.Instruction]
	defaultExt *string // the variable DEFAULT, if it is set
	owner      string  // the sender of forwards, if an alias has one
}

// instructions finds the instructions for the address: those of an alias, those
// of a .qmail file (spec section 4.2), those of .forward, the default delivery.
func (d *delivery) instructions() (instructions, error) {
	if found, isAlias, err := d.alias(); isAlias || err != nil {
		return found, err
	}
	breaks, err := d.breaks()
	if err != nil {
		return instructions{}, temporary("read control/break", err, "Unable to read control files. (#4.3.0)")
	}
	for candidate := range dotqmail.Candidates(d.dash, d.ext, breaks) {
		text, mode, there, err := d.dotQmail(candidate.Name)
		if err != nil {
			return instructions{}, err
		}
		if !there {
			continue
		}
		d.explainFile(candidate.Name, mode, text, candidate.Default)
		if text == "" {
			return instructions{all: d.usual(), defaultExt: candidate.Default}, nil
		}
		d.file = d.place(candidate.Name).File
		return instructions{all: dotqmail.Instructions(text, mode&forwardMode != 0), defaultExt: candidate.Default}, nil
	}
	if d.dash != "" {
		return instructions{}, fate.Perm("1.1", "Sorry, no mailbox here by that name. (#5.1.1)", "find instructions", nil)
	}
	if found, there, err := d.forwardFile(); there || err != nil {
		return found, err
	}
	d.explain(steps.Place{}, "there is no file: the default delivery counts")
	return instructions{all: d.usual()}, nil
}

// dotQmail reads an instruction file that not everybody can write.
func (d *delivery) dotQmail(name string) (text string, mode uint32, there bool, err error) {
	text, mode, err = readInstructions(d.homeDir, name)
	switch {
	case errors.Is(err, errNoFile):
		d.explain(steps.Place{}, "there is no plain file %s", name)
		return "", 0, false, nil
	case err != nil:
		return "", 0, false, temporary("open "+name, err, "Unable to open %s: %s. (#4.3.0)", name, reason(err))
	case mode&forbiddenMode != 0:
		return "", 0, false, temporary("check "+name, nil, "Uh-oh: .qmail file is writable. (#4.7.0)")
	}
	return text, mode, true, nil
}

// breaks returns what ends a part of the extension, beside a dash. The control
// file is read if the extension has anything that it could name.
func (d *delivery) breaks() (string, error) {
	if !accounts.HasBreak(d.ext) {
		return "", nil
	}
	return accounts.Break(d.control())
}

// usual is the default delivery.
func (d *delivery) usual() iter.Seq[dotqmail.Instruction] {
	return dotqmail.Instructions(d.defaultDelivery, false)
}

// errNoFile says that there is no such regular file.
var errNoFile = errors.New("no such file")

// readInstructions reads a file of the user. He may have put a FIFO or a
// device there: it is opened without waiting and passed over.
func readInstructions(dir int, name string) (text string, mode uint32, err error) {
	fd, err := retryFD(func() (int, error) {
		return unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		if fate.IsTemporaryErrno(err) || err == unix.EPERM || err == unix.EACCES {
			return "", 0, err
		}
		return "", 0, errNoFile
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", 0, errNoFile
	}
	// One buffer: one that grew would leave five times the file behind.
	content := bytes.NewBuffer(make([]byte, 0, min(st.Size, maxInstructions)+bytes.MinRead))
	if _, err := content.ReadFrom(io.LimitReader(rawReader(fd), maxInstructions+1)); err != nil {
		return "", 0, err
	}
	if content.Len() > maxInstructions {
		return "", 0, fmt.Errorf("larger than %d bytes", maxInstructions)
	}
	return content.String(), st.Mode, nil
}

// rawReader reads a descriptor without an os.File, which would cost more than
// the file has bytes.
type rawReader int

func (fd rawReader) Read(p []byte) (int, error) {
	n, err := retryFD(func() (int, error) { return unix.Read(int(fd), p) })
	if err != nil {
		return 0, os.NewSyscallError("read", err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func retryFD(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}
