package links

import (
	"bytes"
	"os"

	"postrider/internal/fdpass"
	"postrider/internal/wire/entries"
	"postrider/qmail-send/mailbox"
)

// SpoolListener is told what happens on the link to qmail-spool, by the goroutines
// of the link.
type SpoolListener interface {
	// SpoolEnds says that the link has ended, or that qmail-spool broke the protocol.
	SpoolEnds(l *Spool)
	SpoolSays(l *Spool, batch []entries.Message)
}

// Spool is the link to qmail-spool about entries.
type Spool struct {
	packets *fdpass.Packets
	Out     *mailbox.Box[entries.Message]
}

// NewSpool returns the link whose end f is.
func NewSpool(f *os.File) (*Spool, error) {
	packets, err := fdpass.NewPackets(f)
	if err != nil {
		return nil, err
	}
	return &Spool{packets: packets, Out: mailbox.New[entries.Message]()}, nil
}

// Run begins to send and to receive, until the link ends or is closed.
func (l *Spool) Run(to SpoolListener) {
	go l.sendRequests(to)
	go l.receiveAnswers(to)
}

// Ask sends a request. It never waits.
func (l *Spool) Ask(m entries.Message) { l.Out.Put(m) }

// Close ends both goroutines of l.
func (l *Spool) Close() {
	l.Out.Discard()
	_ = l.packets.Close() // what was asked is asked again on the next link
}

// sendRequests sends what is asked, many a packet.
func (l *Spool) sendRequests(to SpoolListener) {
	var packet []byte
	for {
		requests := l.Out.TakeAll()
		if requests == nil {
			return
		}
		for i, m := range requests {
			packet = entries.Append(packet, m)
			if i+1 < len(requests) && len(packet)+64 <= fdpass.MaxPacket {
				continue
			}
			if err := l.packets.Send(packet); err != nil {
				to.SpoolEnds(l)
				return
			}
			packet = packet[:0]
		}
	}
}

// receiveAnswers tells what the spool says until it ends or breaks the
// protocol.
func (l *Spool) receiveAnswers(to SpoolListener) {
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, _, err := l.packets.Receive(buf, 0)
		var batch []entries.Message
		if err == nil {
			packet := bytes.Clone(buf[:n]) // envelopes stay part of it
			err = entries.Decode(packet, func(m entries.Message) error {
				batch = append(batch, m)
				return nil
			})
		}
		if err != nil {
			to.SpoolEnds(l)
			return
		}
		to.SpoolSays(l, batch)
	}
}
