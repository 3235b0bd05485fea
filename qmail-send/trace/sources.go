package trace

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"postrider/internal/legible"
)

// maxLine is how much of a line is read.
const maxLine = 16 << 10

// usualPlaces are where logs are if nobody says otherwise: directories are
// taken with all that is in them.
var usualPlaces = []string{"/var/log/qmail", "/var/log/mail.log*", "/var/log/maillog*"}

// source is a file with lines of a log.
type source struct {
	path string // "" is standard input, copied
	file *os.File
}

// sources are all that is read, the oldest first.
type sources struct {
	list []source
	// cut are packed files that end early or are damaged, and how.
	cut map[string]error
}

func (s *sources) close() {
	for _, one := range s.list {
		_ = one.file.Close() // it was only read
	}
}

// openSources opens the files that are named, "-" for standard input, or those
// in the usual places.
func openSources(names []string, stdin io.Reader) (*sources, error) {
	s := &sources{cut: make(map[string]error)}
	if len(names) == 0 {
		for _, pattern := range usualPlaces {
			found, _ := filepath.Glob(pattern) // the patterns are good
			names = append(names, found...)
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("there is no log in %s; name the files, or pipe the log in and name -", strings.Join(usualPlaces, ", "))
		}
	}
	for _, name := range names {
		if err := s.add(name, stdin); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, s.sort()
}

func (s *sources) add(name string, stdin io.Reader) error {
	if name == "-" {
		f, err := keep(stdin)
		if err != nil {
			return err
		}
		s.list = append(s.list, source{file: f})
		return nil
	}
	return filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() || path != name && !isLog(entry):
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if entry.Type().IsRegular() {
			s.list = append(s.list, source{path, f})
			return nil
		}
		return s.addOpen(path, f)
	})
}

// addOpen adds what is not known to be a file: a link to one, or a pipe such as
// <(zcat log.gz), which cannot be read twice.
func (s *sources) addOpen(path string, f *os.File) error {
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		s.list = append(s.list, source{path, f})
		return nil
	}
	defer f.Close() // was only read
	if err != nil {
		return err
	}
	kept, err := keep(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	s.list = append(s.list, source{file: kept})
	return nil
}

// isLog tells the files with lines in a log directory from those that a logger
// keeps for itself.
func isLog(entry fs.DirEntry) bool {
	return entry.Type().IsRegular() && entry.Name() != "lock" && entry.Name() != "state" && entry.Name() != "config"
}

// keep copies standard input, which cannot be read twice, into a file without a
// name.
func keep(in io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "qmail-trace-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err == nil {
		_, err = io.Copy(f, in)
	}
	if err != nil {
		_ = f.Close() // the first error counts
		return nil, fmt.Errorf("unable to keep what is read: %w", err)
	}
	return f, nil
}

// sort puts the file that was changed last at the end.
func (s *sources) sort() error {
	times := make(map[*os.File]int64, len(s.list))
	for _, one := range s.list {
		info, err := one.file.Stat()
		if err != nil {
			return err
		}
		times[one.file] = info.ModTime().UnixNano()
	}
	slices.SortStableFunc(s.list, func(a, b source) int {
		switch x, y := times[a.file], times[b.file]; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return nil
}

// isCut tells a packed file that ends early, as while it is being packed, or is
// damaged from one that cannot be read.
func isCut(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) ||
		errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt)
}

// each calls visit with every line of every source.
func (s *sources) each(visit func(line string)) error {
	for _, one := range s.list {
		if err := one.each(visit); err != nil {
			if isCut(err) {
				s.cut[one.path] = err
				continue
			}
			name := one.path
			if name == "" {
				name = "standard input"
			}
			return fmt.Errorf("unable to read %s: %w", name, err)
		}
	}
	return nil
}

func (s source) each(visit func(line string)) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var in io.Reader = s.file
	if strings.HasSuffix(s.path, ".gz") {
		unpacked, err := gzip.NewReader(s.file)
		if err != nil {
			return err
		}
		in = unpacked
	}
	return lines(in, visit)
}

// lines cuts what is read into lines of at most maxLine; the rest of a longer
// one is left out.
func lines(in io.Reader, visit func(line string)) error {
	b := bufio.NewReaderSize(in, maxLine)
	for continues := false; ; {
		piece, err := b.ReadSlice('\n')
		if len(piece) > 0 && !continues {
			visit(legible.ASCII(strings.TrimSuffix(string(piece), "\n")))
		}
		continues = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !continues:
			return err
		}
	}
}
