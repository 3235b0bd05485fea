package commands

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/world"
)

const (
	watchEvery   = 30 * time.Second
	watchText    = 158 // of the subject and the body
	maxWatched   = 100 // messages on the screen
	clearsScreen = "\033[H\033[J"
)

// MaildirWatch is maildirwatch: it shows what is new in the Maildir that the
// variable MAILDIR names, until it is killed.
func MaildirWatch(w world.World) int {
	dir, _ := w.Getenv("MAILDIR")
	if dir == "" {
		return fail(w, "maildirwatch", exitLater, "MAILDIR is not set")
	}
	for {
		text, err := watchPage(dir, w.Clock.Now())
		if err == nil {
			_, err = io.WriteString(w.Stdout, clearsScreen+text)
		}
		if err != nil {
			return fail(w, "maildirwatch", exitLater, err.Error())
		}
		tick, stop := w.Clock.At(w.Clock.Now().Add(watchEvery))
		<-tick
		stop()
	}
}

// watchPage lists the messages in new, the oldest first.
func watchPage(dir string, now time.Time) (string, error) {
	all, err := messagesIn(dir, now, "new")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i, m := range all {
		if i == maxWatched {
			b.WriteString("and more\r\n")
			break
		}
		text, err := watchMessage(m.path)
		if errors.Is(err, fs.ErrNotExist) { // somebody reads mail
			continue
		}
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// watchMessage is what is shown of a message: all of it is a stranger's.
func watchMessage(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer f.Close() // was only read
	start, err := io.ReadAll(io.LimitReader(f, maxHead+watchText))
	if err != nil {
		return "", err
	}
	head, err := readHead(bytes.NewReader(start))
	if err != nil {
		return "message with a long header\r\n\r\n", nil
	}
	first := make(map[string]string)
	fields(head, func(name, body string) {
		if _, twice := first[name]; !twice {
			first[name] = unfolded(body)
		}
	})
	_, body, _ := bytes.Cut(start, []byte("\n\n"))
	return "TO " + onTerminal(firstOf(first["delivered-to"], watchText)) + " FROM " + onTerminal(firstOf(first["return-path"], watchText)) + "\r\n" +
		"From: " + onTerminal(firstOf(first["from"], watchText)) + "\r\n" +
		onTerminal(firstOf(first["subject"]+"\n"+string(body), watchText)) + "\r\n\r\n", nil
}
