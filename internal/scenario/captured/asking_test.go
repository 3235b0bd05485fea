package captured

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"time"

	"postrider/internal/fdpass"
)

// asked is a packet of internal/wire/call.
func asked(number uint32, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, number), body...)
}

// questionAttacks are on who answers.
var questionAttacks = []attack{
	{"questions whose answers nobody reads", func(l *life, link *fdpass.Packets) {
		number := uint32(0)
		l.repeat(link, func() ([]byte, []*os.File) {
			number++
			return asked(number, plausible(l)), nil
		})
	}},
	{"the same number again and again", func(l *life, link *fdpass.Packets) {
		go l.readAll(link, func([]byte, []*os.File) {})
		l.repeat(link, func() ([]byte, []*os.File) { return asked(1, plausible(l)), nil })
	}},
	{"large questions", func(l *life, link *fdpass.Packets) {
		go l.readAll(link, func([]byte, []*os.File) {})
		l.repeat(link, func() ([]byte, []*os.File) {
			return asked(rand.Uint32(), append(plausible(l), make([]byte, 60_000)...)), nil
		})
	}},
	{"a question without a body", func(_ *life, link *fdpass.Packets) { _ = link.Send([]byte{0, 0, 1}) }},
}

// plausible is a question that begins as some protocol has it.
func plausible(l *life) []byte {
	const kinds = "AMPCSFLNGTYDH"
	address := []byte("Aroot@mx1.example")
	if rand.IntN(3) == 0 {
		return address
	}
	return append([]byte{kinds[rand.IntN(len(kinds))]}, l.garbage(300)...)
}

// answerAttacks are on who asks.
var answerAttacks = []attack{
	{"nonsense for an answer", func(l *life, link *fdpass.Packets) {
		l.readAll(link, func(packet []byte, _ []*os.File) {
			if len(packet) >= 4 {
				_, _ = link.TrySend(append(packet[:4:4], l.garbage(50_000)...)) // who asks may have gone
			}
		})
	}},
	{"yes to everything", func(l *life, link *fdpass.Packets) {
		l.readAll(link, func(packet []byte, _ []*os.File) {
			if len(packet) >= 4 {
				_, _ = link.TrySend(append(packet[:4:4], 'Y')) // as above
			}
		})
	}},
	{"answers that nobody asked for", func(l *life, link *fdpass.Packets) {
		number := uint32(0)
		l.repeat(link, func() ([]byte, []*os.File) {
			number++
			return asked(number, l.garbage(1000)), nil
		})
	}},
	{"no answer, and questions are read", func(l *life, link *fdpass.Packets) {
		l.readAll(link, func([]byte, []*os.File) { time.Sleep(time.Millisecond) })
	}},
	{"a packet without a body", func(_ *life, link *fdpass.Packets) { _ = link.Send([]byte{7}) }},
}
