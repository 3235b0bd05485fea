package showctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// old is how long messages of local programs may lie in queue/drop while
// qmail-spool runs.
const old = 10 * time.Minute

// queue looks at the health of the queue, by what its owners say.
func (i *inspector) queue() {
	layout := queuedir.At(i.home)
	short, has, err := i.parts.Room(i.home)
	switch {
	case err != nil:
		i.trouble(layout.Root, err, mendSetup)
	case short != "":
		i.add(Finding{Error, layout.Root, 0, "no mail is taken: " + short, "Make room on that disk. What is queued is delivered meanwhile."})
	default:
		i.facts = append(i.facts, "the queue's disk has room: "+has)
	}
	// One connection for all: a user may have few at a time.
	if c, err := manage.Dial(layout.Manage()); err != nil {
		i.add(Finding{Warning, "", 0, "qmail-send does not run: no mail is delivered", "Start qmail-start."})
	} else {
		i.messages(layout, c)
		c.Close()
	}
	i.aside(filepath.Join(layout.Root, "bad"), Error, "of messages that were damaged and set aside", "Look at each: qmail-queuectl(8) and the log say what it was.")
	i.aside(filepath.Join(layout.Root, "bad", "unacked"), Warning, "that a crash has left of messages which nobody was told are accepted", "They go after 7 days.")
	i.dropped(layout)
}

// messages counts what qmail-send has.
func (i *inspector) messages(layout queuedir.Layout, c *manage.Client) {
	n, held, oldest := 0, 0, i.now
	err := c.List(func(states []manage.State) error {
		for _, s := range states {
			n++
			if s.Phase == manage.HeldBack {
				held++
			}
			if t := s.ID.Time(); t.Before(oldest) {
				oldest = t
			}
		}
		return nil
	})
	if err != nil {
		i.add(Finding{Error, layout.Root, 0, "qmail-send does not say what is queued: " + err.Error(), "Its log may say why."})
		return
	}
	whose := ""
	if !i.root {
		whose = " of yours"
	}
	fact := fmt.Sprintf("messages in the queue%s: %d", whose, n)
	if n > 0 {
		fact += fmt.Sprintf(", of which %d are held; the oldest came %s", held, age(i.now.Sub(oldest)))
	}
	i.facts = append(i.facts, fact)
	lifetime, err := i.dir.Int("queuelifetime", 604800)
	if err == nil && i.now.Sub(oldest) > time.Duration(lifetime)*time.Second+24*time.Hour {
		i.add(Finding{Warning, layout.Root, 0, "the oldest message waits for " + age(i.now.Sub(oldest)) + ", which is longer than queuelifetime", "qmail-queuectl list shows it; is it held?"})
	}
}

// aside counts the files of a directory.
func (i *inspector) aside(dir string, level Level, of, mend string) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return // told by access
	}
	if err != nil {
		i.unreadable(dir, err)
		return
	}
	n := 0
	for _, e := range entries {
		if !e.IsDir() {
			n++
		}
	}
	if n > 0 {
		i.add(Finding{level, dir, 0, count(n, "file") + " " + of, mend})
	}
}

// dropped finds messages that qmail-spool does not take.
func (i *inspector) dropped(layout queuedir.Layout) {
	entries, err := os.ReadDir(layout.Drop())
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			i.unreadable(layout.Drop(), err)
		}
		return
	}
	n := 0
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && queuedir.IsDropName(e.Name()) && i.now.Sub(info.ModTime()) > old {
			n++
		}
	}
	if n > 0 {
		i.add(Finding{Warning, layout.Drop(), 0, count(n, "message") + " of local programs: qmail-spool does not take what is there", "Start qmail-start; if it runs, the log of qmail-spool says what is wrong with them."})
	}
}

// age is a time in words.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "this minute"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

// running reports whether qmail-send answers.
func (i *inspector) running() bool {
	c, err := manage.Dial(queuedir.At(i.home).Manage())
	if err != nil {
		return false
	}
	c.Close()
	return true
}
