package captured

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/submit"
)

// queueAttacks are on who takes messages over a submit channel.
var queueAttacks = []attack{
	{"messages that are none", (*life).submitNonsense},
	{"endless messages and envelopes", (*life).submitEndlessly},
	{"connections that say nothing", (*life).connectOnly},
	{"messages to herself, many", (*life).submitMany},
	{"descriptors that are no connections", (*life).handOverOthers},
}

// onEach has some connections made and used at a time, again and again.
func (l *life) onEach(link *fdpass.Packets, use func(c *os.File)) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for !l.over() {
				c, err := submit.Connect(link)
				if err != nil {
					time.Sleep(time.Millisecond)
					continue
				}
				_ = c.SetDeadline(l.endsAfter) // it is a socket
				use(c)
				c.Close()
			}
		})
	}
	all.Wait()
}

func (l *life) submitNonsense(link *fdpass.Packets) {
	message := submit.AppendFrame(nil, submit.Message, []byte("Subject: none\n\nx\n"))
	commit := submit.AppendFrame(nil, submit.Commit, l.garbage(16))
	l.onEach(link, func(c *os.File) {
		var b []byte
		switch rand.IntN(7) {
		case 0:
			b = l.garbage(70_000)
		case 1:
			b = message[:3+rand.IntN(8)]
		case 2:
			b = append(submit.AppendHeader(nil, submit.Message, submit.MaxFrame+1), message...)
		case 3: // an envelope that is cut
			b = append(message, submit.AppendFrame(nil, submit.Envelope, []byte("Fmallory@mx1.example\x00Tmall"))...)
			b = append(b, commit...)
		case 4: // what may be in none
			b = append(message, submit.AppendFrame(nil, submit.Envelope, []byte("F\n@\x00T../../etc/passwd\x00T\r\n@x\x00T\x00Troot\x00\x00\x00"))...)
			b = append(b, commit...)
		case 5:
			b = append(message, submit.AppendFrame(nil, submit.Envelope, l.garbage(3000))...)
			b = append(b, commit...)
		case 6:
			b = bytes.Repeat(append(commit, commit...), 500)
		}
		_, _ = c.Write(b)                             // it may be refused
		_, _ = c.Read(make([]byte, rand.IntN(1+500))) // some answers
	})
}

func (l *life) submitEndlessly(link *fdpass.Packets) {
	piece := submit.AppendFrame(nil, submit.Message, bytes.Repeat([]byte("endless\n"), 32_000))
	envelope := submit.AppendFrame(nil, submit.Envelope, []byte("Fmallory@mx1.example\x00"))
	recipients := submit.AppendFrame(nil, submit.Envelope, bytes.Repeat([]byte("Tmallory@mx1.example\x00"), 12_000))
	var mu sync.Mutex
	left := l.endless
	take := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		left -= int64(n)
		return left > 0
	}
	l.onEach(link, func(c *os.File) {
		part := piece
		if rand.IntN(2) == 0 {
			part = recipients
			_, _ = c.Write(envelope) // as below
		}
		for take(len(part)) {
			if _, err := c.Write(part); err != nil {
				return // it was cut off
			}
		}
		time.Sleep(100 * time.Millisecond)
	})
	l.say("%d bytes of %d were not sent", max(0, left), l.endless)
}

func (l *life) connectOnly(link *fdpass.Packets) {
	var held []*os.File
	for !l.over() && len(held) < 2000 {
		c, err := submit.Connect(link)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		held = append(held, c)
	}
	for !l.over() {
		time.Sleep(50 * time.Millisecond)
	}
	fdpass.CloseAll(held)
}

func (l *life) submitMany(link *fdpass.Packets) {
	l.onEach(link, func(c *os.File) {
		var b []byte
		for range 5 {
			var nonce queuedir.Nonce
			copy(nonce[:], fmt.Sprintf("%016x", rand.Uint64()))
			b = submit.AppendFrame(b, submit.Message, []byte("Subject: to herself\n\nx\n"))
			b = submit.AppendFrame(b, submit.Envelope, []byte("F\x00Tmallory@mx1.example\x00\x00"))
			b = submit.AppendFrame(b, submit.Commit, nonce[:])
		}
		_, _ = c.Write(b) // it may be busy
		_, _ = c.Read(make([]byte, 200))
		time.Sleep(50 * time.Millisecond) // each of these has to be delivered
	})
}

// handOverOthers gives the spool sockets of another kind, itself, and the log.
func (l *life) handOverOthers(link *fdpass.Packets) {
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		l.say("%v", err)
		return
	}
	defer fdpass.CloseAll([]*os.File{a, b})
	l.repeat(link, func() ([]byte, []*os.File) {
		return []byte{submit.ChannelByte}, []*os.File{[]*os.File{a, b, os.Stderr}[rand.IntN(3)]}
	})
}

// entryAttacks are those of a scheduler on the spool. None of the numbers is a
// message's.
var entryAttacks = []attack{
	{"orders about other files", func(l *life, link *fdpass.Packets) {
		kinds := []entries.Kind{entries.Remove, entries.Query, entries.Quarantine}
		names := []string{"../../etc/passwd", "../../../home/alice", "/etc/shadow", ".", "..", "", "00000000000000000/..", "new/00/0000000000000"}
		go l.readAll(link, func([]byte, []*os.File) {})
		l.repeat(link, func() ([]byte, []*os.File) {
			var id queuedir.ID
			copy(id[:], names[rand.IntN(len(names))])
			return entries.Append(nil, entries.Message{Kind: kinds[rand.IntN(len(kinds))], ID: id}), nil
		})
	}},
	{"orders about messages that are not there", func(l *life, link *fdpass.Packets) {
		kinds := []entries.Kind{entries.Remove, entries.Query, entries.Quarantine}
		l.repeat(link, func() ([]byte, []*os.File) { // nobody reads the answers
			var packet []byte
			for range 1000 {
				var id queuedir.ID
				copy(id[:], fmt.Sprintf("%020d", rand.Uint64N(1_000_000_000)))
				packet = entries.Append(packet, entries.Message{Kind: kinds[rand.IntN(len(kinds))], ID: id})
			}
			return packet, nil
		})
	}},
	{"what the spool says", func(l *life, link *fdpass.Packets) {
		l.repeat(link, func() ([]byte, []*os.File) {
			return entries.Append(nil, entries.Message{Kind: entries.Announced, Size: rand.Int64()}), nil
		})
	}},
}
