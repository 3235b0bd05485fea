package users

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/control"
	"postrider/internal/getopt"
	"postrider/internal/world"
)

// maxLists is the largest file of Q/users that is read.
const maxLists = 64 << 20

// maxPasswdLine is the longest line of passwd.
const maxPasswdLine = 64 << 10

// homeCheck is what qmail-pw2u does about a home directory that is not there,
// or not its user's.
type homeCheck byte

const (
	skipHomeless homeCheck = 'o'
	needHome     homeCheck = 'h' // a home that is missing is fatal
	ignoreHome   homeCheck = 'H'
)

// converter turns passwd into users/assign.
type converter struct {
	home       homeCheck
	upper      bool   // users with upper-case letters get mail, too
	breaks     string // "": no extensions
	dash       string
	include    map[string]bool // nil: everybody
	exclude    map[string]bool
	mailNames  map[string][]string
	subUsers   map[string][]subUser
	out        *bufio.Writer
	aliasFound bool
}

// subUser is an address that is a user's with an extension.
type subUser struct{ sub, pre string }

// PasswdToUsers is qmail-pw2u: it reads passwd on standard input and writes
// users/assign on standard output.
func PasswdToUsers(w world.World) int {
	breaks, err := accounts.Break(control.Dir(filepath.Join(w.Home, "control")))
	if err != nil {
		fmt.Fprintf(w.Stderr, "qmail-pw2u: fatal: %v\n", err)
		return exitTemporary
	}
	c := converter{home: skipHomeless, breaks: breaks, dash: "-", out: bufio.NewWriter(w.Stdout)}
	if err := c.options(w.Args[1:]); err != nil {
		fmt.Fprint(w.Stderr, "qmail-pw2u: usage: qmail-pw2u [ -/ohHuUC ] [ -c char ]\n")
		return exitUsage
	}
	err = c.readLists(filepath.Join(w.Home, "users"))
	if err == nil {
		err = c.convert(w.Stdin, filepath.Join(w.Home, "users"))
	}
	if err == nil {
		err = c.out.Flush()
	}
	if err != nil {
		fmt.Fprintf(w.Stderr, "qmail-pw2u: fatal: %v\n", err)
		return exitTemporary
	}
	return exitDone
}

func (c *converter) options(args []string) error {
	opts, rest, err := getopt.Parse(args, "/ohHuUCc:")
	if err != nil {
		return err
	}
	for _, o := range opts {
		switch o.Letter {
		case '/':
			c.dash = "-/"
		case 'o', 'h', 'H':
			c.home = homeCheck(o.Letter)
		case 'u', 'U':
			c.upper = o.Letter == 'u'
		case 'C':
			c.breaks = ""
		case 'c':
			if len(o.Value) != 1 || o.Value == ":" {
				return errors.New("one byte")
			}
			c.breaks = o.Value
		}
	}
	if len(rest) > 0 {
		return errors.New("no arguments")
	}
	return nil
}

// readLists reads the files by which the administrator changes what comes of
// passwd. Each may be missing.
func (c *converter) readLists(dir string) error {
	include, err := listFile(dir, "include")
	if err != nil {
		return err
	}
	if include != nil {
		c.include = setOf(include)
	}
	exclude, err := listFile(dir, "exclude")
	if err != nil {
		return err
	}
	c.exclude = setOf(exclude)
	names, err := listFile(dir, "mailnames")
	if err != nil {
		return err
	}
	c.mailNames = make(map[string][]string)
	for _, line := range names {
		user, all, _ := strings.Cut(line, ":")
		for name := range strings.SplitSeq(all, ":") {
			if name != "" {
				c.mailNames[user] = append(c.mailNames[user], name)
			}
		}
	}
	subs, err := listFile(dir, "subusers")
	if err != nil {
		return err
	}
	c.subUsers = make(map[string][]subUser)
	for _, line := range subs {
		f := strings.Split(line, ":")
		if len(f) < 4 {
			return fmt.Errorf("users/subusers: %q has fewer than three colons", line)
		}
		c.subUsers[f[1]] = append(c.subUsers[f[1]], subUser{f[0], f[2]})
	}
	return nil
}

// listFile returns the lines of a file, without comments; nil if there is no
// such file.
func listFile(dir, name string) ([]string, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLists))
	if err != nil {
		return nil, err
	}
	lines := []string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if line = strings.TrimRight(line, " \t"); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// convert writes the lines of all users, what users/append has, and the end.
func (c *converter) convert(passwd io.Reader, dir string) error {
	lines := bufio.NewScanner(passwd)
	lines.Buffer(nil, maxPasswdLine)
	for lines.Scan() {
		if err := c.user(lines.Text()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if !c.aliasFound {
		return errors.New("unable to find alias user")
	}
	more, err := os.Open(filepath.Join(dir, "append"))
	if err == nil {
		defer more.Close()
		_, err = io.Copy(c.out, more)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_, err = c.out.WriteString(".\n")
	return err
}

// isUpper tells an ASCII capital: local parts are bytes.
func isUpper(r rune) bool { return 'A' <= r && r <= 'Z' }

// user writes the lines of one user of passwd, if he gets mail.
func (c *converter) user(line string) error {
	f := strings.Split(line, ":")
	if len(f) != 7 || f[0] == "" || f[0][0] == '+' || f[0][0] == '-' {
		return nil
	}
	name, home := f[0], f[5]
	uid, err := strconv.ParseUint(f[2], 10, 32)
	if _, gidErr := strconv.ParseUint(f[3], 10, 32); err != nil || gidErr != nil || uid == 0 {
		return nil
	}
	if c.include != nil && !c.include[name] || c.exclude[name] || !c.upper && strings.ContainsFunc(name, isUpper) {
		return nil
	}
	if there, err := c.homeIsThere(name, home, uint32(uid)); err != nil || !there {
		return err
	}
	who := name + ":" + f[2] + ":" + f[3] + ":" + home
	if name == accounts.AliasUser {
		c.aliasFound = true
		c.printf("+:%s:%s::\n", who, c.dash)
	}
	names := c.mailNames[name]
	if names == nil {
		names = []string{name}
	}
	for _, n := range names {
		c.printf("=%s:%s:::\n", n, who)
		for _, b := range c.breaks {
			c.printf("+%s%c:%s:%s::\n", n, b, who, c.dash)
		}
	}
	for _, s := range c.subUsers[name] {
		c.printf("=%s:%s:%s:%s:\n", s.sub, who, c.dash, s.pre)
		for _, b := range c.breaks {
			c.printf("+%s%c:%s:%s:%s%c:\n", s.sub, b, who, c.dash, s.pre, b)
		}
	}
	return nil
}

// printf writes to the buffer, which keeps its first error until Flush.
func (c *converter) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// homeIsThere reports whether mail for a user may go to his home.
func (c *converter) homeIsThere(name, home string, uid uint32) (bool, error) {
	if c.home == ignoreHome {
		return true, nil
	}
	var st unix.Stat_t
	err := unix.Stat(home, &st)
	switch {
	case err == unix.ENOENT && c.home == skipHomeless:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("unable to stat %s, the home of %s: %w", home, name, err)
	}
	return st.Uid == uid, nil
}
