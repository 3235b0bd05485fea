package top

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/getopt"
	"postrider/internal/legible"
	"postrider/internal/queuedir"
	"postrider/internal/world"
	"postrider/qmail-send/top/ask"
	"postrider/qmail-send/top/logtail"
	"postrider/qmail-send/top/picture"
)

// Exit codes.
const (
	exitOK        = 0
	exitMisused   = 100
	exitTemporary = 111 // the terminal cannot be used, or nothing of the suite answers
)

const usage = "qmail-top: usage: qmail-top [-b] [-l file]\n"

// The size of a screen that is printed.
const (
	usualWidth, usualHeight = 80, 24
	maxSide                 = 1000
)

// Main is qmail-top.
func Main(w world.World) int {
	once, logs, stream := false, logtail.UsualLogs(), (*os.File)(nil)
	opts, rest, err := getopt.Parse(replaceLong(w.Args[1:]), "bl:")
	for _, o := range opts {
		switch o.Letter {
		case 'b':
			once = true
		case 'l':
			logs = []string{o.Value}
			if o.Value == "-" {
				logs, stream = nil, w.Stdin
			}
		}
	}
	if err != nil || len(rest) > 0 {
		_, _ = fmt.Fprint(w.Stderr, usage)
		return exitMisused
	}
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	s := &sources{clock: w.Clock, figures: w.Home + "/run/metrics.sock", layout: queuedir.At(w.Home), logs: logs, stream: stream}
	m := picture.New(host, w.Clock.Now())
	if term, _ := w.Getenv("TERM"); once || term == "" || term == "dumb" || !isTerminal(w.Stdout) {
		return s.printOnce(w, m)
	}
	switch err := s.runScreen(m); {
	case errors.Is(err, errTerminal):
		return exitTemporary // it takes no message either, and could keep us here
	case err != nil:
		_, _ = fmt.Fprintf(w.Stderr, "qmail-top: fatal: %v\n", err)
		return exitTemporary
	}
	return exitOK
}

// replaceLong makes the one long option a letter.
func replaceLong(args []string) []string {
	replaced := make([]string, len(args))
	for i, a := range args {
		if a == "--once" {
			a = "-b"
		}
		replaced[i] = a
	}
	return replaced
}

func isTerminal(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	is := false
	err = raw.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		is = err == nil
	})
	return is && err == nil
}

// printOnce prints one screen: what is there after a second, so that there are
// rates.
func (s *sources) printOnce(w world.World, m *picture.Model) int {
	s.askFigures()(m)
	a := &ask.Asker{Layout: s.layout, Now: w.Clock.Now}
	defer a.Close()
	o, _, err := a.Ask(s.unknown.Load())
	m.TakeOrders(o, err)
	s.listen(m)
	s.askFigures()(m)
	m.Now = w.Clock.Now()
	c := picture.Draw(m, picture.View{}, side(w, "COLUMNS", usualWidth), side(w, "LINES", usualHeight))
	c.Fill(c.Height-1, picture.Plain) // there are no keys
	// Who reads this may know nothing of line drawing.
	if _, err := w.Stdout.WriteString(strings.TrimRight(strings.ReplaceAll(c.String(), "─", "-"), "\n") + "\n"); err != nil {
		_, _ = fmt.Fprintf(w.Stderr, "qmail-top: fatal: unable to write: %v\n", err)
		return exitTemporary
	}
	if m.OrdersErr != nil && m.FiguresErr != nil {
		_, _ = fmt.Fprintf(w.Stderr, "qmail-top: fatal: %s; %s\n", legible.ASCII(m.OrdersErr.Error()), legible.ASCII(m.FiguresErr.Error()))
		return exitTemporary
	}
	return exitOK
}

// listen takes what comes of the log within a second.
func (s *sources) listen(m *picture.Model) {
	updates, stopped := make(chan update), make(chan struct{})
	defer close(stopped)
	send := func(u update) bool {
		select {
		case updates <- u:
			return true
		case <-stopped:
			return false
		}
	}
	go s.watchLog(send, func(time.Duration) bool { return false })
	until := s.clock.Now().Add(each)
	for s.clock.Now().Before(until) {
		c, stop := s.clock.At(until)
		select {
		case u := <-updates:
			u(m)
		case <-c:
		}
		stop()
	}
}

// side returns a side of the screen from the environment.
func side(w world.World, name string, usual int) int {
	value, _ := w.Getenv(name)
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxSide {
		return usual
	}
	return n
}
