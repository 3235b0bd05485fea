package smtpd

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// What the spool says of its room counts until it says otherwise, or is another
// one.
func TestSpoolWithoutRoom(t *testing.T) {
	t.Parallel()
	p := newSpool()
	attach := func() *fdpass.Packets {
		t.Helper()
		ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.relink(ours); err != nil {
			t.Fatal(err)
		}
		channel, err := fdpass.NewPackets(theirs)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { channel.Close() })
		return channel
	}
	say := func(channel *fdpass.Packets, full bool) {
		t.Helper()
		if sent, err := submit.SayFull(channel, full); err != nil || !sent {
			t.Fatal(sent, err)
		}
		for end := time.Now().Add(patience); p.full() != full; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("full is %v", !full)
			}
		}
	}
	if p.full() {
		t.Error("full without a spool")
	}
	first := attach()
	say(first, true)
	say(first, false)
	say(first, true)
	if second := attach(); p.full() {
		t.Error("another spool is full before it has said so")
	} else {
		say(second, true)
	}
	first.Close()
	p.current().Close()
}
