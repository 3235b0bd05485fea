package packaged

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/internal/ledger"
)

// actorVariable makes the test binary one of these, in the host of life.sh.
const actorVariable = "POSTRIDER_TEST_ACTOR"

var actors = map[string]func() error{
	"syslog": syslog,
	"load":   func() error { return load("load", false) },
	"insist": func() error { return load("insist", true) },
	"check":  check,
}

func TestMain(m *testing.M) {
	name := os.Getenv(actorVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := actors[name](); err != nil {
		fmt.Println(name+":", err)
		os.Exit(1)
	}
}

// logFile is what syslog writes: the time, and what was said.
const logFile = "/log"

// syslog is the system's log.
func syslog() error {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/dev/log", Net: "unixgram"})
	if err != nil {
		return err
	}
	defer socket.Close()
	if err := os.Chmod("/dev/log", 0o666); err != nil {
		return err
	}
	f, err := os.Create(logFile)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 8192)
	for {
		n, err := socket.Read(buf)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(f, "%d %s\n", time.Now().UnixNano(), strings.TrimRight(string(buf[:n]), "\n")); err != nil {
			return err
		}
	}
}

// said is a line of ours in the form of syslog, and splogger's time in it.
var said = regexp.MustCompile(`^(\d+) <\d+>.*? qmail(?:\[\d+\])?: (?:\d+\.\d{6} )?(.*)$`)

func logLines() (lines []ledger.LogLine, err error) {
	f, err := os.Open(logFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		m := said.FindStringSubmatch(s.Text())
		if m == nil {
			continue // of another program, or half a line
		}
		when, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return nil, err
		}
		lines = append(lines, ledger.LogLine{When: time.Unix(0, when), Text: m[2]})
	}
	return lines, s.Err()
}

// check holds the ledgers of all senders against mailbox, queue and log.
func check() error {
	files, err := filepath.Glob("/ledger.*")
	if err != nil {
		return err
	}
	var readers []io.Reader
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		readers = append(readers, f)
	}
	book, err := ledger.Read(io.MultiReader(readers...))
	if err != nil {
		return err
	}
	var e ledger.Evidence
	if e.Deliveries, err = deliveries("/home/joe/Maildir/new"); err != nil {
		return err
	}
	const queue = "/var/qmail/queue/"
	if e.Queue, err = ledger.ScanQueue(book, queue+"new", queue+"drop", queue+"bad"); err != nil {
		return err
	}
	if e.Log, err = logLines(); err != nil {
		return err
	}
	violations, summary := book.Check(e)
	var all []error
	for _, v := range violations[:min(len(violations), 10)] {
		all = append(all, errors.New(v.String()))
	}
	if len(all) == 0 {
		fmt.Printf("ledger: %v; %d lines of the log\n", summary, len(e.Log))
	}
	return errors.Join(all...)
}

// deliveries reads a mailbox; what has no mark of the ledger is of life.sh.
func deliveries(dir string) (all []ledger.Delivery, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		file := filepath.Join(dir, entry.Name())
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		if id, _ := ledger.Identify(string(text)); id == "" {
			continue
		}
		d := ledger.Delivery{Place: file, Recipient: recipient, Text: string(text), When: info.ModTime()}
		if path := ledger.Values(d.Text, "Return-Path"); len(path) > 0 {
			d.Sender = strings.Trim(path[0], "<>")
		}
		all = append(all, d)
	}
	return all, nil
}
