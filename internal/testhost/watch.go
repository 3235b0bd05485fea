package testhost

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// watch calls look now and after every change in the directories, until it
// returns true or ctx ends.
func watch(ctx context.Context, dirs []string, look func() (bool, error)) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return err
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close()
	for _, dir := range dirs {
		const changes = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_CLOSE_WRITE | unix.IN_MODIFY
		if _, err := unix.InotifyAddWatch(fd, dir, changes); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(deadlineIn(0)) })
	defer stop()
	buf := make([]byte, 64<<10)
	for {
		if done, err := look(); done || err != nil {
			return err
		}
		if _, err := events.Read(buf); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
}

// WaitForFiles waits until the test's view of a directory of the host
// satisfies enough, and returns the names in it.
func (h *Host) WaitForFiles(ctx context.Context, dir string, enough func(names []string) bool) ([]string, error) {
	var names []string
	path := h.Path(dir)
	err := watch(ctx, []string{path}, func() (bool, error) {
		var err error
		names, err = fileNames(path)
		return err == nil && enough(names), err
	})
	return names, err
}

func fileNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// Maildir is a mailbox of a host.
type Maildir struct {
	host *Host
	dir  string
}

// Message is a message in a Maildir.
type Message struct {
	File string // as the host names it
	Text string
}

// Maildir returns the Maildir in a user's home directory.
func (h *Host) Maildir(user string) Maildir {
	h.t.Helper()
	a, err := accountBelow(h.Path("/"), user)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.MaildirAt(filepath.Join(a.home, "Maildir"))
}

// MaildirAt returns the Maildir at a path of the host.
func (h *Host) MaildirAt(dir string) Maildir { return Maildir{h, dir} }

// Messages reads all messages, new and seen, in the order of their names. It
// fails the test if it cannot.
func (m Maildir) Messages() []Message {
	m.host.t.Helper()
	var messages []Message
	for _, sub := range []string{"new", "cur"} {
		dir := filepath.Join(m.dir, sub)
		names, err := fileNames(m.host.Path(dir))
		if err != nil {
			m.host.t.Fatalf("%s: %v", m.host.Name, err)
		}
		sort.Strings(names)
		for _, name := range names {
			file := filepath.Join(dir, name)
			messages = append(messages, Message{file, m.host.ReadFile(file)})
		}
	}
	return messages
}

// Count returns the number of new messages.
func (m Maildir) Count() int {
	m.host.t.Helper()
	names, err := fileNames(m.host.Path(filepath.Join(m.dir, "new")))
	if err != nil {
		m.host.t.Fatalf("%s: %v", m.host.Name, err)
	}
	return len(names)
}

// Wait waits until there are n new messages and returns all messages. Fewer
// at the end of ctx fails the test.
func (m Maildir) Wait(ctx context.Context, n int) []Message {
	m.host.t.Helper()
	names, err := m.host.WaitForFiles(ctx, filepath.Join(m.dir, "new"), func(names []string) bool { return len(names) >= n })
	if err != nil {
		m.host.t.Fatalf("%s: %s has %d new messages, want %d: %v\nlog:\n%s",
			m.host.Name, m.dir, len(names), n, err, m.host.log.Timed(0))
	}
	return m.Messages()
}

// Header returns the first value of a header field, unfolded.
func (m Message) Header(name string) string {
	head, _, _ := strings.Cut(m.Text, "\n\n")
	head = strings.ReplaceAll(strings.ReplaceAll(head, "\n ", " "), "\n\t", " ")
	for line := range strings.Lines(head) {
		field, value, found := strings.Cut(line, ":")
		if found && strings.EqualFold(field, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Body returns what follows the header.
func (m Message) Body() string {
	_, body, _ := strings.Cut(m.Text, "\n\n")
	return body
}
