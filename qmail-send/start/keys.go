package start

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"postrider/internal/wire/parent"
)

// Where private keys with their certificates are, below control.
const (
	certFile = "servercert.pem"
	certDirs = "servercerts" // NAME/servercert.pem for each further host
	// maxKeys is as many as a control channel holds at once with room to spare.
	maxKeys = 100
	maxHost = 253
)

// keyFiles are the files with private keys. They are opened and never read
// here: qmail-tlskey, which can open nothing, gets the descriptors.
type keyFiles struct {
	control string
	owner   uint32 // who alone may have access
}

// present reports whether there is a key, and with it TLS.
func (k keyFiles) present() (bool, error) {
	_, err := os.Stat(filepath.Join(k.control, certFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// open returns the frames that hand the keys over.
func (k keyFiles) open() (frames []parent.Frame, err error) {
	defer func() {
		if err != nil {
			closeKeys(frames)
			frames = nil
		}
	}()
	f, err := k.openOne(certFile)
	if err != nil {
		return nil, err
	}
	frames = append(frames, parent.Frame{Kind: parent.Key, File: f})
	hosts, err := k.hosts()
	if err != nil {
		return frames, err
	}
	for _, host := range hosts {
		f, err := k.openOne(filepath.Join(certDirs, host, certFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a directory without one is not ready yet
		}
		if err != nil {
			return frames, err
		}
		frames = append(frames, parent.Frame{Kind: parent.Key, Name: strings.ToLower(host), File: f})
	}
	if len(frames) > maxKeys {
		return frames, fmt.Errorf("%s/%s: there are more than %d keys", k.control, certDirs, maxKeys)
	}
	return append(frames, parent.Frame{Kind: parent.KeysComplete}), nil
}

// hosts returns the names of the directories of further hosts.
func (k keyFiles) hosts() (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(k.control, certDirs))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || e.Type()&(fs.ModeDir|fs.ModeSymlink) == 0 {
			continue
		}
		if len(name) > maxHost {
			return nil, fmt.Errorf("%s/%s/%.20s...: the name of a host has at most %d bytes", k.control, certDirs, name, maxHost)
		}
		names = append(names, name)
	}
	return names, nil
}

// openOne refuses a key that others can read: qmail-smtpd would be one of them.
func (k keyFiles) openOne(name string) (*os.File, error) {
	path := filepath.Join(k.control, name)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil {
		owner := st.Sys().(*syscall.Stat_t).Uid
		switch {
		case !st.Mode().IsRegular():
			err = fmt.Errorf("%s is no regular file", path)
		case owner != k.owner || st.Mode().Perm()&0o077 != 0:
			err = fmt.Errorf("%s belongs to uid %d and has the mode %04o: it holds a private key, so it must belong to uid %d with the mode 0600",
				path, owner, st.Mode().Perm(), k.owner)
		}
	}
	if err != nil {
		_ = f.Close() // was not read
		return nil, err
	}
	return f, nil
}

// closeKeys closes files that were only handed over.
func closeKeys(frames []parent.Frame) {
	for _, f := range frames {
		if f.Kind == parent.Key {
			_ = f.File.Close()
		}
	}
}

// renewKeys opens the keys again and hands them over.
func (s *supervisor) renewKeys() {
	for _, m := range s.plan.members {
		if m.renew != nil && s.end == nil {
			s.renew(m)
		}
	}
}

// renew hands new keys to a member. Its links are made afresh behind them, so
// that the peers ask for the new certificates.
func (s *supervisor) renew(m *member) {
	frames, err := m.renew()
	if err != nil {
		s.log(fmt.Sprintf("qmail-start: warning: %v; the keys before it stay", err))
		return
	}
	old := m.gifts
	m.gifts = frames
	closeKeys(old)
	for _, frame := range frames {
		s.give(m, frame)
	}
	for _, l := range s.plan.links {
		if (l.a == m || l.b == m) && l.a.lines != nil && l.b.lines != nil {
			s.connect(l)
		}
	}
}
