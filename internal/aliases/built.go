package aliases

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"postrider/internal/cdb"
)

// A text may have a database beside it, NAME.cdb, which Build makes: under ":name"
// what is behind the colon, as it is in the text, and under builtMark of which
// text it was made. It counts while the text is that one: after a change of the
// text, the text does.
const (
	builtMark   = "!"
	builtFormat = "postrider aliases 1, text of %d bytes and of %d.%09d"
	namePrefix  = ":"
	builtMode   = 0o644
)

// ErrForeign says that the name of a database is taken by one that another
// program made.
var ErrForeign = errors.New("another program has made it: it stays as it is")

// built is an open database of that kind.
type built struct {
	is   unix.Stat_t
	file *os.File
	db   *cdb.Reader
}

func markOf(text *unix.Stat_t) string {
	return fmt.Sprintf(builtFormat, text.Size, text.Mtim.Sec, text.Mtim.Nsec)
}

// openBuilt opens the database of a text, or returns nil if it is not of that
// text, is somebody else's, or cannot be read: the text says it all.
func openBuilt(path string, text *unix.Stat_t) *built {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	b := &built{file: f}
	if err := unix.Fstat(int(f.Fd()), &b.is); err == nil && b.is.Mode&unix.S_IFMT == unix.S_IFREG && b.is.Mode&writableMode == 0 {
		if b.db, err = cdb.NewReader(f, b.is.Size); err == nil {
			if mark, found, err := b.db.Get([]byte(builtMark)); found && err == nil && string(mark) == markOf(text) {
				return b
			}
		}
	}
	b.close()
	return nil
}

// find returns what a name is an alias of.
func (b *built) find(name string) (list string, found bool, err error) {
	data, found, err := b.db.Get([]byte(namePrefix + name))
	return string(data), found, err
}

func (b *built) close() {
	if b != nil {
		_ = b.file.Close() // only read from
	}
}

// BuiltName is the name of the database of a text.
func BuiltName(path string) string { return path + compiledEnd }

// Build makes the database of a text. Mail that comes meanwhile is delivered by
// the text, or by the database that was there.
func Build(path string) error {
	text, is, err := readFile(path, maxTable)
	if err != nil {
		return err
	}
	target := BuiltName(path)
	if err := checkOurs(target); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	temporary := fmt.Sprintf("%s.%d", target, os.Getpid())
	err = cdb.Replace(target, temporary, builtMode, func(w *cdb.Writer) error {
		if err := w.Add([]byte(builtMark), []byte(markOf(&is))); err != nil {
			return err
		}
		return Read(text, func(e Entry) error {
			if len(e.List) > cdb.MaxData {
				return fmt.Errorf("line %d: %s: too long for a database", e.Line, shorten(e.Name))
			}
			return w.Add([]byte(namePrefix+e.Name), []byte(e.List))
		})
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// checkOurs returns an error for a database that Build has not made.
func checkOurs(path string) error {
	db, err := cdb.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return errors.Join(ErrForeign, err)
	}
	defer db.Close()
	var size, sec, nsec int64
	mark, found, err := db.Get([]byte(builtMark))
	if err == nil && found {
		_, err = fmt.Sscanf(string(mark), builtFormat, &size, &sec, &nsec)
	}
	if err != nil || !found {
		return ErrForeign
	}
	return nil
}

// IsBuilt reports whether the database of a text is that of the text as it is
// now, and so counts.
func IsBuilt(path string) bool {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return false
	}
	b := openBuilt(BuiltName(path), &st)
	b.close()
	return b != nil
}
