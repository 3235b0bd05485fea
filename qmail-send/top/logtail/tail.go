package logtail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxLine is how much of a line is read; the rest is passed over.
	maxLine = 4 << 10
	// firstLook is how much of what is there already is read at the start.
	firstLook = 256 << 10
	// lookAtOnce bounds what is read in a second: of a log that grows faster, or
	// was not looked at for a while, the newest part.
	lookAtOnce = 1 << 20
)

// UsualLogs are where the log is if nobody says otherwise: contrib has multilog
// and syslog write there.
func UsualLogs() []string {
	return []string{"/var/log/qmail/current", "/var/log/mail.log", "/var/log/maillog"}
}

// Tail follows a log, which may be moved away and made anew, or cut off.
type Tail struct {
	Names   []string // the first that is there
	Path    string
	file    *os.File
	info    os.FileInfo
	offset  int64
	partial []byte // the beginning of a line that has not ended
	skip    bool   // up to the next line end: the line is too long, or was begun before
}

// Look calls visit with the lines that have come, and returns an error if there
// is no log.
func (t *Tail) Look(visit func(line string)) error {
	for range 2 { // the file that is open, and the one that has taken its place
		if t.file == nil {
			if err := t.open(); err != nil {
				return err
			}
		}
		if err := t.read(visit); err != nil {
			t.Close()
			return fmt.Errorf("unable to read %s: %w", t.Path, err)
		}
		if t.inPlace() {
			return nil
		}
		// Who renames a log may go on writing into it for a moment: once more.
		if err := t.read(visit); err != nil {
			t.Close()
			return fmt.Errorf("unable to read %s: %w", t.Path, err)
		}
		t.Close()
	}
	return nil
}

// open opens the first log that is there, at its end but for firstLook; one that
// has taken the place of another, at its beginning.
func (t *Tail) open() error {
	again := t.Path != ""
	var missing error
	for _, name := range t.Names {
		f, err := openLog(name)
		if errors.Is(err, fs.ErrNotExist) {
			missing = err
			continue
		}
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			_ = f.Close() // it was only read
			return err
		}
		t.Path, t.file, t.info, t.offset, t.partial, t.skip = name, f, info, 0, nil, false
		if size := info.Size(); !again && size > firstLook {
			t.offset, t.skip = size-firstLook, true
		}
		return nil
	}
	return missing
}

// openLog opens a regular file: reading from anything else could wait for ever.
func openLog(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", name)
	}
	if err != nil {
		_ = f.Close() // it was only read
		return nil, err
	}
	return f, nil
}

// inPlace reports whether the file that is open is still the log, and as long as
// it was.
func (t *Tail) inPlace() bool {
	info, err := os.Stat(t.Path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) // between two: the next look finds out
	}
	return os.SameFile(info, t.info) && info.Size() >= t.offset
}

// read reads what has come.
func (t *Tail) read(visit func(line string)) error {
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	if behind := info.Size() - t.offset; behind > lookAtOnce {
		t.offset, t.partial, t.skip = info.Size()-lookAtOnce, nil, true
	}
	buf := make([]byte, 32<<10)
	for left := lookAtOnce; left > 0; {
		n, err := t.file.ReadAt(buf[:min(left, len(buf))], t.offset)
		t.offset += int64(n)
		left -= n
		t.Take(buf[:n], visit)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Take cuts what was read into lines.
func (t *Tail) Take(b []byte, visit func(line string)) {
	for {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		if !t.skip {
			if room := maxLine - len(t.partial); len(line) >= room {
				line, t.skip = line[:room], true
			}
			t.partial = append(t.partial, line...)
			if ended || t.skip {
				visit(strings.TrimSuffix(string(t.partial), "\r"))
				t.partial = t.partial[:0]
			}
		}
		if !ended {
			return
		}
		t.skip, b = false, rest
	}
}

func (t *Tail) Close() {
	if t.file != nil {
		_ = t.file.Close() // it was only read
		t.file = nil
	}
}
