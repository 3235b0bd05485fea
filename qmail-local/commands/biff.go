package commands

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/legible"
	"postrider/internal/world"
)

const (
	utmpFile   = "/run/utmp"
	devices    = "/dev"
	maxUtmp    = 16 << 20
	maxNotice  = 78 // of the subject and the body
	utmpRecord = 384
)

// userProcess is the type of a record of utmp(5) that is a session.
const userProcess = 7

// Biff is qbiff: it tells the user of new mail on each terminal where that is
// wanted (biff y). Whatever goes wrong, the mail is delivered: it exits 0.
func Biff(w world.World) int {
	text, ok := notice(w)
	if !ok {
		return exitDone
	}
	user, _ := w.Getenv("USER")
	for _, line := range terminals(utmpFile, user) {
		tell(filepath.Join(devices, line), text)
	}
	return exitDone
}

// notice is what is written: bytes of strangers, made harmless for a terminal.
func notice(w world.World) (text string, ok bool) {
	local, hasLocal := w.Getenv("LOCAL")
	sender, hasSender := w.Getenv("SENDER")
	if !hasLocal || !hasSender {
		return "", false
	}
	start, err := io.ReadAll(io.LimitReader(w.Stdin, maxHead+maxNotice))
	if err != nil {
		return "", false
	}
	head, err := readHead(bytes.NewReader(start))
	if err != nil {
		return "", false
	}
	var subject string
	fields(head, func(name, body string) {
		if name == "subject" && subject == "" {
			subject = strings.TrimSpace(body) + "\n"
		}
	})
	_, body, _ := bytes.Cut(start, []byte("\n\n"))
	return "\a\r\n*** TO <" + onTerminal(local) + "> FROM <" + onTerminal(sender) + ">\r\n  " +
		onTerminal(firstOf(subject+string(body), maxNotice)) + "\r\n", true
}

func firstOf(text string, n int) string { return text[:min(len(text), n)] }

func onTerminal(text string) string {
	return legible.ASCII(strings.ReplaceAll(text, "\n", "/"))
}

// terminals returns the terminals of a user's sessions, below /dev.
func terminals(utmp, user string) (lines []string) {
	f, err := os.Open(utmp)
	if err != nil {
		return nil
	}
	defer f.Close() // was only read
	records, err := io.ReadAll(io.LimitReader(f, maxUtmp))
	if err != nil {
		return nil
	}
	for ; len(records) >= utmpRecord; records = records[utmpRecord:] {
		kind, line, name := binary.NativeEndian.Uint16(records), cString(records[8:40]), cString(records[44:76])
		if kind == userProcess && user != "" && name == user && filepath.IsLocal(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

// tell writes to a terminal of whoever runs this, if it may be written to: its
// owner can execute it.
func tell(path, text string) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd) // nobody could be told of an error
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Mode&unix.S_IXUSR == 0 || int(st.Uid) != os.Getuid() {
		return
	}
	_, _ = unix.Write(fd, []byte(text)) // one that is stopped hears nothing
}
