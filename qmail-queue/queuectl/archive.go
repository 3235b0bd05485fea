package queuectl

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
)

// An archive is a tar file of files as they are in the queue: new/NN/ID,
// new/NN/ID.body, info/NN/ID, whose time is the next attempt.

// export is the command: what it writes stays in the queue.
func (r *run) export(operands []string) error {
	if err := r.choose(operands, true); err != nil {
		return err
	}
	var ids []queuedir.ID
	s, err := newSource(r.layout, r.unexported)
	if err != nil {
		return err
	}
	defer s.close()
	if !s.direct {
		return errors.New("only root may export")
	}
	if r.choice.wide() { // all of them, whatever they say
		ids = s.all()
	} else {
		err = s.each(r.choice.ids, reading{}, func(m *message, _ *queuedir.Entry) error {
			if r.choice.matches(m) {
				ids = append(ids, m.id)
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	out := tar.NewWriter(r.out)
	exported := 0
	for _, id := range ids {
		it, err := queued(r.layout, id)
		if err != nil {
			// One that was chosen by what it is may have ended since.
			if _, gone := os.Lstat(r.layout.Entry(id)); len(r.choice.ids) > 0 || !errors.Is(gone, fs.ErrNotExist) {
				r.unexported(id.String(), err)
			}
			continue
		}
		err = it.archive(out)
		it.close()
		if err != nil {
			return err
		}
		exported++
	}
	if err := out.Close(); err != nil {
		return err
	}
	r.complain("exported: %d; they stay in the queue", exported)
	return nil
}

// unexported tells what cannot be exported; others go on.
func (r *run) unexported(what string, err error) {
	r.failed = true
	r.complain("warning: not exported: %s: %v", what, err)
}

// archive writes the files of a message: the progress before the entry.
func (it *item) archive(out *tar.Writer) error {
	where := it.id.Bucket() + "/" + it.id.String()
	if it.progress != nil {
		if err := file(out, "info/"+where, strings.NewReader(string(it.progress)), int64(len(it.progress)), it.due); err != nil {
			return err
		}
	}
	for name, r := range map[string]io.Reader{"new/" + where + queuedir.BodySuffix: it.body, "new/" + where: it.entry} {
		f, isFile := r.(*os.File)
		if !isFile || f == nil {
			continue
		}
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if err := file(out, name, f, info.Size(), info.ModTime()); err != nil {
			return err
		}
	}
	return nil
}

func file(out *tar.Writer, name string, from io.Reader, size int64, at time.Time) error {
	err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: at, Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, from, size)
	return err
}

// importArchive imports what export has written. It is unpacked first: what is
// damaged is found before anything gets into the queue.
func (r *run) importArchive(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	dir, err := os.MkdirTemp(path.Dir(name), ".import")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := unpack(f, dir); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return r.importQueue(queuedir.Layout{Root: dir}, name+"."+journalName)
}

// unpack makes a queue of an archive.
func unpack(from io.Reader, dir string) error {
	l := queuedir.Layout{Root: dir}
	for i := range queuedir.Buckets {
		for _, d := range []string{l.NewDir(queuedir.BucketName(i)), l.InfoDir(queuedir.BucketName(i))} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				return err
			}
		}
	}
	in := tar.NewReader(from)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !isQueueFile(h.Name) {
			continue
		}
		if err := unpackFile(in, dir+"/"+h.Name, h.ModTime); err != nil {
			return err
		}
	}
}

// isQueueFile reports whether an archive's name is one that export makes, and
// leads nowhere else.
func isQueueFile(name string) bool {
	parts := strings.Split(name, "/")
	if len(parts) != 3 || parts[0] != "new" && parts[0] != "info" {
		return false
	}
	base := parts[2]
	if parts[0] == "new" {
		base = strings.TrimSuffix(base, queuedir.BodySuffix)
	}
	id, err := queuedir.ParseID(base)
	return err == nil && id.Bucket() == parts[1]
}

func unpackFile(from io.Reader, name string, at time.Time) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, fs.FileMode(0o600))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Chtimes(name, time.Time{}, at)
}
