package captured

import (
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/parent"
)

// attack is something to do to who is at the other end of a link.
type attack struct {
	name string
	do   func(*life, *fdpass.Packets)
}

// attacksOn are those that make sense on a link of this name.
func attacksOn(name string) []attack {
	kind, rest, _ := strings.Cut(name, ".")
	switch {
	case name == parent.Submit:
		return append(queueAttacks, linkAttacks...)
	case name == parent.Filter:
		return append(queueAttacks, linkAttacks...)
	case name == parent.Entries:
		return append(entryAttacks, linkAttacks...)
	case name == parent.SpawnLocal:
		return append(localJobAttacks, linkAttacks...)
	case kind == parent.Spawn && rest != "":
		return append(remoteJobAttacks, linkAttacks...)
	case name == parent.Spawn:
		return append(resultAttacks, linkAttacks...)
	case rest != "":
		return append(answerAttacks, linkAttacks...)
	}
	return append(questionAttacks, linkAttacks...)
}

// linkAttacks work on every link.
var linkAttacks = []attack{
	{"garbage", func(l *life, link *fdpass.Packets) {
		l.repeat(link, func() ([]byte, []*os.File) { return l.garbage(fdpass.MaxPacket), nil })
	}},
	{"descriptors", (*life).sendDescriptors},
	{"silence", func(*life, *fdpass.Packets) {}},
	{"an end", func(_ *life, link *fdpass.Packets) { link.Close() }},
}

// repeat sends until the life or the link is over, and waits for nobody.
func (l *life) repeat(link *fdpass.Packets, next func() ([]byte, []*os.File)) {
	for n := 0; !l.over(); n++ {
		packet, files := next()
		sent, err := link.TrySend(packet, files...)
		switch {
		case err != nil:
			l.say("the link ends after %d packets: %v", n, err)
			return
		case !sent:
			time.Sleep(time.Millisecond)
		}
	}
}

// readAll takes what comes, so that who sends is not held up.
func (l *life) readAll(link *fdpass.Packets, handle func(packet []byte, files []*os.File)) {
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, files, err := link.Receive(buf, 64)
		if err != nil {
			return
		}
		handle(buf[:n], files)
		fdpass.CloseAll(files)
	}
}

// sendDescriptors sends up to 200 with a packet: sockets, and a link in itself.
func (l *life) sendDescriptors(link *fdpass.Packets) {
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		l.say("%v", err)
		return
	}
	defer fdpass.CloseAll([]*os.File{a, b})
	l.repeat(link, func() ([]byte, []*os.File) {
		files := make([]*os.File, 1+rand.IntN(200))
		for i := range files {
			files[i] = []*os.File{a, b, os.Stderr}[rand.IntN(3)]
		}
		return []byte("c"), files
	})
}
