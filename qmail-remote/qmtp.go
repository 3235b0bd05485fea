package qmailremote

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"

	"postrider/internal/netstring"
	"postrider/internal/smtpwire"
)

// Encodings of a message in QMTP: lines end with LF.
const qmtpLF = '\n'

// qmtp sends the message by QMTP (spec 8.2): the message, the sender and the
// recipients as netstrings, and an answer for each recipient. The connection is
// for one message.
func (c *client) qmtp(ctx context.Context, set *settings, k candidate, conn net.Conn, m mail) (outcome, state) {
	defer conn.Close()
	ip := k.key.addr.Addr()
	if m.body.wireSize < 0 {
		return whole(onlyOnce(ip)), settled
	}
	var never *report
	if m.body, never = m.signing.apply(ctx, m.body, asStored); never != nil {
		return whole(never), settled
	}
	s := &session{conn: conn, key: k.key, waits: &set.waits, otherwise: set.remoteTimeout, replies: smtpwire.NewReplyReader(conn)}
	release := s.guard(ctx)
	defer release()
	s.await(stepBlock)
	switch err := s.sendQMTP(m, release); {
	case err == errUnreadable:
		return whole(unreadable()), settled
	case err != nil:
		return whole(died(ip, false, "")), gone
	}
	o := outcome{message: report{class: failed, text: givingUp(ip).text}, recipients: make([]report, len(m.recipients))}
	s.await(stepEnd)
	r := bufio.NewReaderSize(armed{s}, 1<<10)
	for i := range o.recipients {
		answer, err := readAnswer(r)
		if err != nil || answer == "" {
			for ; i < len(o.recipients); i++ {
				o.recipients[i] = report{class: rcptLater, text: died(ip, true, "").text}
			}
			break
		}
		o.recipients[i] = o.byQMTP(ip, answer)
	}
	m.signing.note(&o)
	return o, settled
}

// byQMTP is the report for one answer. The first recipient that was taken tells
// what becomes of the message.
func (o *outcome) byQMTP(ip netip.Addr, answer string) report {
	said := remoteSaid(strings.ReplaceAll(answer[1:], "\x00", "?"))
	switch answer[0] {
	case accepted:
		if o.message.class != accepted {
			o.message = report{class: accepted, text: ip.String() + " accepted message.\n" + said}
		}
		return report{class: rcptTaken}
	case failed:
		return report{class: rcptNever, text: ip.String() + " does not like recipient.\n" + said}
	}
	return report{class: rcptLater, text: ip.String() + " does not like recipient.\n" + said}
}

// sendQMTP sends all there is to send. Its last octets go out in one write with
// the last piece of the envelope: when that fails, the server cannot have
// accepted the message.
func (s *session) sendQMTP(m mail, release func() bool) error {
	r, err := m.body.open()
	if err != nil {
		return errUnreadable
	}
	out := append(netstring.AppendHeader(nil, m.body.size+1), qmtpLF)
	piece := make([]byte, m.body.piece())
	left := m.body.size
	for left > 0 {
		n, err := r.Read(piece)
		left -= int64(n)
		if left < 0 || err == io.EOF && left > 0 || err != nil && err != io.EOF {
			return errUnreadable
		}
		out = append(out, piece[:n]...)
		if len(out) < pieceSize {
			continue
		}
		if err := s.write(out); err != nil {
			return err
		}
		out = out[:0]
	}
	out = append(out, ',')
	out = netstring.Append(out, m.sender.String())
	var all []byte
	for _, a := range m.recipients {
		all = netstring.Append(all, a.String())
	}
	out = netstring.Append(out, string(all))
	if !release() {
		return errCanceled
	}
	return s.write(out)
}

// readAnswer reads one answer of a server. What is longer than qmail keeps of a
// reply is an error.
func readAnswer(r *bufio.Reader) (string, error) {
	n, err := netstring.Open(r, smtpwire.MaxReplyText)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(n)
	if err != nil {
		return "", err
	}
	return string(text), n.Close()
}

// armed is the reading side of a session, with its time for each read.
type armed struct{ s *session }

func (a armed) Read(p []byte) (int, error) {
	if err := a.s.arm(); err != nil {
		return 0, err
	}
	return a.s.conn.Read(p)
}

func onlyOnce(ip netip.Addr) *report {
	return &report{class: deferred, text: "QMTP to " + ip.String() + " needs a message whose size is known. (#4.3.0)\n"}
}
