package auth

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/getopt"
	"postrider/internal/saslprep"
	"postrider/internal/wire/auth"
	"postrider/internal/world"
)

// Exit codes of qmail-authpw.
const (
	exitOK     = 0
	exitUsage  = 100
	exitFailed = 111
)

// fileGroup is who may read the file besides its owner.
const fileGroup = "qmaila"

const usage = "usage: qmail-authpw [-n] [-s argon2id|scram|plain] user <password, or qmail-authpw -d user"

// order is what qmail-authpw is told to do.
type order struct {
	user   string
	scheme string
	print  bool // the line is shown, the file stays
	remove bool
}

// SetPassword is qmail-authpw.
func SetPassword(w world.World) int {
	unix.Umask(0o077)
	o, err := parseOrder(w.Args[1:])
	if err != nil {
		fmt.Fprintf(w.Stderr, "qmail-authpw: %v\n%s\n", err, usage)
		return exitUsage
	}
	if err := o.run(w); err != nil {
		fmt.Fprintf(w.Stderr, "qmail-authpw: fatal: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func parseOrder(args []string) (o order, err error) {
	opts, rest, err := getopt.Parse(args, "nds:")
	if err != nil {
		return o, err
	}
	o.scheme = "argon2id"
	for _, opt := range opts {
		switch opt.Letter {
		case 'n':
			o.print = true
		case 'd':
			o.remove = true
		case 's':
			o.scheme = opt.Value
		}
	}
	if len(rest) != 1 {
		return o, errors.New("one user is wanted")
	}
	if o.user = saslprep.Prepare(rest[0]); !isUser(o.user) || strings.Contains(o.user, ":") || o.user[0] == '#' {
		return o, fmt.Errorf("%q cannot be the name of a user", o.user)
	}
	return o, nil
}

func (o order) run(w world.World) error {
	line := ""
	if !o.remove {
		password, err := readPassword(w.Stdin)
		if err != nil {
			return err
		}
		text, err := makeHash(o.scheme, saslprep.Prepare(password))
		if err != nil {
			return err
		}
		line = o.user + ":" + text + "\n"
	}
	if o.print {
		_, err := io.WriteString(w.Stdout, line)
		return err
	}
	return replaceLine(filepath.Join(w.Home, File), o.user, line)
}

// readPassword takes the first line.
func readPassword(f *os.File) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(f, auth.MaxPassword+2)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" || len(line) > auth.MaxPassword || strings.ContainsAny(line, "\x00\r") {
		return "", fmt.Errorf("standard input has no line with a password of 1 to %d bytes", auth.MaxPassword)
	}
	return line, nil
}

// replaceLine puts a line in the place of that of a user. The file is replaced
// as a whole; one change at a time.
func replaceLine(path, user, line string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return os.NewSyscallError("flock", err)
	}
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	text, found := edited(string(before), user, line)
	if line == "" && !found {
		return fmt.Errorf("there is no %s in %s", user, path)
	}
	return replaceFile(dir, path, text)
}

// edited returns a file where line, which may be empty, is in the place of what
// a user had; found says that there was something. A file has a secret from then
// on (decoys.go).
func edited(before, user, line string) (text string, found bool) {
	var b strings.Builder
	hasKey := false
	for old := range strings.Lines(before) {
		old = strings.TrimSuffix(old, "\n") + "\n"
		if name, _, _ := strings.Cut(old, ":"); saslprep.Prepare(name) == user {
			if !found {
				b.WriteString(line)
			}
			found = true
			continue
		}
		_, isKey := parseKey(strings.TrimRight(old, "\r\n"))
		hasKey = hasKey || isKey
		b.WriteString(old)
	}
	if !found {
		b.WriteString(line)
	}
	if hasKey {
		return b.String(), found
	}
	return newKey() + b.String(), found
}

// replaceFile writes a file that root and qmail-auth may read; in a private
// installation everybody is its owner.
func replaceFile(dir *os.File, path, text string) error {
	made := path + ".new"
	if err := os.Remove(made); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(made, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // again, if all went well
	if os.Geteuid() == 0 {
		gid, err := accounts.LookupGroup(fileGroup)
		if err != nil {
			return fmt.Errorf("unable to find group %s: %w: run make setup", fileGroup, err)
		}
		if err := f.Chown(-1, int(gid)); err != nil {
			return err
		}
	}
	if err := f.Chmod(0o640); err != nil {
		return err
	}
	if _, err := io.WriteString(f, text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(made, path); err != nil {
		return err
	}
	return dir.Sync()
}
