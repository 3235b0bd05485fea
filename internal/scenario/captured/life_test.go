package captured

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/priv"
	"postrider/internal/testhost"
	"postrider/internal/wire/parent"
)

// planFile holds how many lives a captured program has had, how many seconds a
// life takes, and how many megabytes are endless.
const planFile = "/var/qmail/captured"

// soundSuffix is behind the name of a program whose place was taken.
const soundSuffix = ".sound"

func TestMain(m *testing.M) {
	if program := filepath.Base(os.Args[0]); strings.HasPrefix(program, "qmail-") {
		os.Exit(captured(program))
	}
	os.Exit(testhost.Main(m))
}

// life is that of a captured program, until it ends itself and is started again.
type life struct {
	program   string
	number    int
	took      time.Duration
	endless   int64 // bytes
	randomly  *rand.Rand
	endsAfter time.Time
}

// captured is what runs in the place of a program.
func captured(program string) int {
	if program == "qmail-local" && !isMallory() {
		path := "/var/qmail/bin/" + program + soundSuffix
		err := syscall.Exec(path, os.Args, os.Environ())
		fmt.Fprintf(os.Stderr, "captured: %s: %v\n", path, err)
		return 111
	}
	l, err := nextLife(program)
	if err == nil {
		err = priv.Enter(program)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "captured: %s: %v\n", program, err)
		return 111
	}
	if program == "qmail-local" {
		return l.asWorker()
	}
	return l.asDaemon()
}

func isMallory() bool {
	var st unix.Stat_t
	return unix.Stat("/home/mallory", &st) == nil && int(st.Uid) == os.Getuid()
}

// nextLife reads the plan, and writes down that there is one life more.
func nextLife(program string) (*life, error) {
	f, err := os.OpenFile(planFile, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	var number, seconds, megabytes int
	if _, err := fmt.Sscan(string(text), &number, &seconds, &megabytes); err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%d %d %d\n", number+1, seconds, megabytes), 0); err != nil {
		return nil, err
	}
	took := time.Duration(seconds) * time.Second
	return &life{
		program: program, number: number, took: took, endless: int64(megabytes) << 20,
		randomly: rand.New(rand.NewPCG(rand.Uint64(), 0)), endsAfter: time.Now().Add(took),
	}, nil
}

// say writes a whole line to the log, which a captured program can do.
func (l *life) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "captured: %s: life %d: %s\n", l.program, l.number, fmt.Sprintf(format, args...))
}

func (l *life) over() bool { return time.Now().After(l.endsAfter) }

// asDaemon attacks over every link that qmail-start gives, and ends in a way
// that is another one each time.
func (l *life) asDaemon() int {
	channel, err := parent.Inherited()
	if err != nil {
		l.say("no control channel: %v", err)
		return 111
	}
	go l.end()
	l.say("begins")
	err = channel.Run(func(f parent.Frame) error {
		switch f.Kind {
		case parent.Link:
			go l.attack(f.Name, f.File)
		case parent.Listener:
			go l.listen(f.File)
		case parent.Area, parent.Figures:
			go l.scribble(f.Name, f.File)
		case parent.Go:
			go l.talkBack(channel)
			go l.floodLog()
		}
		return nil
	})
	if err != nil {
		l.say("control channel: %v", err)
	}
	return 0
}

func (l *life) end() {
	time.Sleep(l.took)
	l.say("ends")
	switch l.number % 4 {
	case 0:
		os.Exit(100)
	case 1:
		os.Exit(0)
	case 2:
		_ = unix.Kill(os.Getpid(), unix.SIGSEGV)
	}
	os.Exit(111)
}

// attack chooses what this life does to a link.
func (l *life) attack(name string, f *os.File) {
	link, err := fdpass.NewPackets(f)
	if err != nil {
		l.say("%s: %v", name, err)
		return
	}
	list := attacksOn(name)
	sum := fnv.New32()
	_, _ = io.WriteString(sum, name) // never fails
	chosen := list[(l.number+int(sum.Sum32()%1000))%len(list)]
	l.say("attacks %s: %s", name, chosen.name)
	chosen.do(l, link)
	for !l.over() { // a link that ends too early is no attack
		time.Sleep(100 * time.Millisecond)
	}
}

// listen takes connections and says nonsense to them.
func (l *life) listen(f *os.File) {
	for !l.over() {
		c, err := fdpass.Accept(f)
		if err != nil {
			return
		}
		go func() {
			_, _ = c.Write(l.garbage(4000)) // whoever reads it
			time.Sleep(time.Second)
			c.Close()
		}()
	}
}

// scribble writes into memory that figures are in: the areas of others are only
// read, and a captured program that can write one says so.
func (l *life) scribble(name string, f *os.File) {
	_, err := f.WriteAt(l.garbage(64), 0)
	if truncated := f.Truncate(0); truncated == nil {
		l.say("FOUND: can truncate the area %s", name)
	}
	if _, mapped := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); l.program == "qmail-metrics" && (err == nil || mapped == nil) {
		l.say("FOUND: can write the area %s", name)
	}
}

// talkBack sends to qmail-start, which reads nothing.
func (l *life) talkBack(channel *parent.Channel) {
	for !l.over() {
		a, b, err := fdpass.Pair(unix.SOCK_STREAM)
		if err != nil {
			return
		}
		sent, err := channel.Send(parent.Frame{Kind: parent.Link, Name: string(bytes.Repeat([]byte("x"), 1+l.randomly.IntN(1000))), File: a})
		a.Close()
		b.Close()
		if !sent || err != nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// floodLog writes many lines, of which none is anybody else's.
func (l *life) floodLog() {
	line := strings.Repeat("nonsense \x1b[2J\xff ", 20)
	for i := 0; i < 2000 && !l.over(); i++ {
		fmt.Fprintf(os.Stderr, "captured: %s %d\n", line, i)
	}
}

func (l *life) garbage(most int) []byte {
	b := make([]byte, 1+rand.IntN(most))
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}
