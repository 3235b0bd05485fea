package commands

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// maxAnswered is how many senders are remembered: who wants to fill a disk
	// with names of senders gets no further, and no answers.
	maxAnswered = 10000
	maxMark     = 200 // bytes of a name
)

// remember reports whether a sender is to be answered: not if he was, less than
// interval ago. There is an empty file for each, whose time tells.
func remember(dir, sender string, now time.Time, interval time.Duration) (bool, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	path := filepath.Join(dir, markOf(sender))
	info, err := os.Lstat(path)
	if err == nil && now.Sub(info.ModTime()) < interval {
		return false, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		if room, err := makeRoom(dir, now, interval); err != nil || !room {
			return false, err
		}
		var f *os.File
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return false, nil // another delivery answers him at this moment
		}
		if err != nil {
			return false, err
		}
		err = f.Close()
	}
	if err != nil {
		return false, err
	}
	return true, os.Chtimes(path, now, now)
}

// forget undoes remember.
func forget(dir, sender string) {
	// A file that stays costs one sender one answer.
	_ = os.Remove(filepath.Join(dir, markOf(sender)))
}

// makeRoom reports whether one more sender can be remembered. It removes those
// whose time is over when there are many.
func makeRoom(dir string, now time.Time, interval time.Duration) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	names, err := f.Readdirnames(maxAnswered)
	if err != nil && err != io.EOF {
		return false, err
	}
	left := len(names)
	if left < maxAnswered {
		return true, nil
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		if err == nil && info.Mode().IsRegular() && strings.HasPrefix(name, markPrefix) && now.Sub(info.ModTime()) >= interval && os.Remove(path) == nil {
			left--
		}
	}
	return left < maxAnswered, nil
}

const markPrefix = "to:"

// markOf is the name of the file for a sender: readable, and no way out of the
// directory.
func markOf(sender string) string {
	var b strings.Builder
	b.WriteString(markPrefix)
	for _, c := range []byte(strings.ToLower(sender)) {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("@.-_+=", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	if b.Len() <= maxMark {
		return b.String()
	}
	sum := fnv.New64a()
	_, _ = io.WriteString(sum, b.String()) // it never fails
	return fmt.Sprintf("%s...%016x", b.String()[:maxMark], sum.Sum64())
}
