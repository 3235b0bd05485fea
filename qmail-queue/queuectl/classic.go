package queuectl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/control"
	"postrider/internal/queuedir"
	"postrider/internal/route"
)

// A queue of qmail (spec section 1): message N, a decimal number, is mess/S/N,
// where S is N modulo the split. It is queued if there is todo/N, or todo/S/N,
// with its envelope, or else info/S/N with its sender; that file's time is its
// birth. Then local/S/N and remote/S/N have its recipients, T for one that is
// to be tried, D for one that is done, and their time is the next attempt.
// bounce/N has what is to be told of recipients that failed. Directories may
// also have no split.

// maxEnvelope bounds a file of recipients.
const maxEnvelope = 64 << 20

// classicQueue is a queue of qmail that is imported.
type classicQueue struct {
	dir    string
	lock   *os.File // that no qmail-send has; nil: ours has it
	routes *route.Table
}

// isClassic reports whether dir is a queue of qmail.
func isClassic(dir string) bool {
	for _, name := range []string{"mess", "info", "local", "remote"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

var (
	errClassicRuns = errors.New("qmail-send runs on this queue: stop it first")
	errOwnQueue    = errors.New("this is the queue into which messages are imported, and there is none of qmail in it")
)

// sameDirectory reports whether two names are those of one directory.
func sameDirectory(a, b string) (bool, error) {
	one, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other), err
}

// openClassic opens a queue. While it is imported qmail's own qmail-send cannot
// start. Our own queue directory may hold an old queue beside ours: its lock is
// that of our qmail-send.
func openClassic(dir, home string) (*classicQueue, error) {
	q := &classicQueue{dir: dir}
	var err error
	if q.routes, err = route.Read(control.Dir(home + "/control")); err != nil {
		return nil, err
	}
	ours, oursErr := os.Stat(queuedir.At(home).Root)
	theirs, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if oursErr == nil && os.SameFile(ours, theirs) {
		return q, nil
	}
	q.lock, err = os.OpenFile(filepath.Join(dir, "lock/sendmutex"), os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("whether qmail-send runs: %w", err)
	}
	if err := unix.Flock(int(q.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = q.lock.Close() // not written to
		if err == unix.EWOULDBLOCK {
			return nil, errClassicRuns
		}
		return nil, os.NewSyscallError("flock", err)
	}
	return q, nil
}

func (q *classicQueue) close() {
	if q.lock != nil {
		_ = q.lock.Close() // not written to
	}
}

// classicMessage is where the files of a message are: N or S/N below the
// directories.
type classicMessage struct {
	number string
	mess   string
	todo   string // of one that qmail-send has not looked at
	info   string // which is also where local, remote have it
}

// messages returns all that are queued.
func (q *classicQueue) messages() ([]classicMessage, error) {
	todo, err := q.numbers("todo")
	if err != nil {
		return nil, err
	}
	info, err := q.numbers("info")
	if err != nil {
		return nil, err
	}
	mess, err := q.numbers("mess")
	if err != nil {
		return nil, err
	}
	var all []classicMessage
	for number, path := range mess {
		m := classicMessage{number: number, mess: path, todo: todo[number], info: info[number]}
		if m.todo != "" || m.info != "" { // else its sender was never told that it is queued
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b classicMessage) int { return strings.Compare(a.number, b.number) })
	return all, nil
}

// maxNumber is the longest number of a file: inodes have 64 bits. Ours have 20.
const maxNumber = 19

// numbers returns the files of a directory, and of those directly below it, whose
// names are numbers; and where they are below it.
func (q *classicQueue) numbers(name string) (map[string]string, error) {
	found := make(map[string]string)
	top := filepath.Join(q.dir, name)
	entries, err := os.ReadDir(top)
	if errors.Is(err, fs.ErrNotExist) && name == "todo" {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !isNumber(e.Name()) {
			continue
		}
		if !e.IsDir() {
			found[e.Name()] = e.Name()
			continue
		}
		below, err := os.ReadDir(filepath.Join(top, e.Name()))
		if err != nil {
			return nil, err
		}
		for _, b := range below {
			if isNumber(b.Name()) && b.Type().IsRegular() {
				found[b.Name()] = e.Name() + "/" + b.Name()
			}
		}
	}
	return found, nil
}

func isNumber(s string) bool {
	if s == "" || len(s) > maxNumber {
		return false
	}
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// envelope is what qmail knows of a message.
type envelope struct {
	uid        uint32
	sender     address.Address
	born       time.Time
	due        time.Time // the next attempt; zero: now
	recipients []classicRecipient
}

type classicRecipient struct {
	address string
	done    bool
}

// read reads the envelope of m.
func (q *classicQueue) read(m classicMessage) (*envelope, error) {
	e := &envelope{}
	if m.todo != "" {
		return e, e.readTodo(filepath.Join(q.dir, "todo", m.todo))
	}
	path := filepath.Join(q.dir, "info", m.info)
	if err := e.records(path, func(letter byte, value string) error {
		if letter != 'F' {
			return fmt.Errorf("%s: unknown record %q", path, letter)
		}
		var err error
		e.sender, err = address.New(value)
		return err
	}); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	e.born = info.ModTime()
	for _, dir := range []string{"local", "remote"} {
		if err := q.readRecipients(e, filepath.Join(q.dir, dir, m.info), dir == "local"); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// records calls visit with the records of a file, each a letter, a value and NUL.
func (e *envelope) records(path string, visit func(letter byte, value string) error) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	text, err := io.ReadAll(io.LimitReader(f, maxEnvelope+1))
	if err != nil {
		return err
	}
	if len(text) > maxEnvelope {
		return fmt.Errorf("%s is too large", path)
	}
	for len(text) > 0 {
		record, rest, whole := bytes.Cut(text, []byte{0})
		if !whole || len(record) == 0 {
			return fmt.Errorf("%s ends inside a record", path)
		}
		if err := visit(record[0], string(record[1:])); err != nil {
			return err
		}
		text = rest
	}
	return nil
}

func (e *envelope) readTodo(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	e.born = info.ModTime()
	return e.records(path, func(letter byte, value string) error {
		var err error
		switch letter {
		case 'u':
			var uid uint64
			uid, err = strconv.ParseUint(value, 10, 32)
			e.uid = uint32(uid)
		case 'p':
		case 'F':
			e.sender, err = address.New(value)
		case 'T':
			e.recipients = append(e.recipients, classicRecipient{address: value})
		default:
			err = fmt.Errorf("%s: unknown record %q", path, letter)
		}
		return err
	})
}

// readRecipients reads local/N or remote/N; one that is not there has no
// recipients left.
func (q *classicQueue) readRecipients(e *envelope, path string, local bool) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if due := info.ModTime(); e.due.IsZero() || due.Before(e.due) {
		e.due = due
	}
	return e.records(path, func(letter byte, value string) error {
		if letter != 'T' && letter != 'D' {
			return fmt.Errorf("%s: unknown record %q", path, letter)
		}
		if local {
			value = q.unrouted(value)
		}
		e.recipients = append(e.recipients, classicRecipient{value, letter == 'D'})
		return nil
	})
}

// unrouted returns a recipient of local/N as it was before control/virtualdomains
// changed it: our qmail-send changes it again.
func (q *classicQueue) unrouted(recipient string) string {
	same := func(s string) bool {
		c, routed := q.routes.Of(s)
		return c == route.Local && routed == recipient
	}
	if same(recipient) {
		return recipient
	}
	for i := range len(recipient) {
		if recipient[i] == '-' && same(recipient[i+1:]) {
			return recipient[i+1:]
		}
	}
	return recipient // control files have changed since
}
