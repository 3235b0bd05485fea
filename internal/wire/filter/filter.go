// Package filter is the protocol by which qmail-smtpd has a message pass
// through the program that a rule's QMAILQUEUE names: the only specification,
// both ends.
//
// Imported by qmail-smtpd, who asks, and qmail-filter, who runs programs. The
// one who runs them trusts nothing that arrives: a captured qmail-smtpd may say
// anything of its client, but cannot name a program, nor a variable that is
// not in Names. Which program, and what else is in its environment, follows
// from control/tcp.smtp and TCPREMOTEIP.
//
// # Protocol
//
// The link is a submit channel (internal/wire/submit): who asks makes a stream
// and hands over one end, for one message. It sends frames as submit has them:
//
//	V block  what is known of the client: NAME=value strings, each ended by
//	         NUL. The first frame, once
//	M bytes  a piece of the message, any number
//	E bytes  a piece of the envelope: F sender NUL, T recipient NUL ..., NUL
//	C nonce  commit; the nonce is not used
//
// and gets one frame, an answer of submit: K and the number of the program's
// process, or Z or D with its exit code and text. Then the connection ends. A
// connection that ends before C was sent has had no effect. Where the answer
// to C does not come the outcome is unknown.
package filter

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Variables is the kind of the first frame.
const Variables = 'V'

// MaxVariables is the most bytes of its payload.
const MaxVariables = 16 << 10

// AnswerTime is within what an answer to C comes; a peer that takes longer is
// given up.
const AnswerTime = time.Hour

// Names are the variables that say something of a client, as tcpserver and
// qmail-smtpd set them (spec sections 6.1, 6.7).
var Names = []string{
	"PROTO", "TCPREMOTEIP", "TCPREMOTEPORT", "TCPREMOTEHOST", "TCPREMOTEINFO",
	"TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST",
	"RELAYCLIENT", "SMTPHELOHOST", "SMTPAUTHUSER", "SMTP_AUTH_USER", "SMTPAUTHMETHOD",
}

// ErrVariables is returned for what is no block of variables.
var ErrVariables = errors.New("filter protocol: these are no variables of a client")

// AppendVariables appends a block of NAME=value entries.
func AppendVariables(b []byte, entries []string) []byte {
	for _, entry := range entries {
		b = append(append(b, entry...), 0)
	}
	return b
}

// ParseVariables returns the entries of a block, and the client's address.
func ParseVariables(block []byte) (entries []string, ip netip.Addr, err error) {
	if len(block) > MaxVariables {
		return nil, ip, ErrVariables
	}
	var seen []string
	for len(block) > 0 {
		entry, rest, ended := bytes.Cut(block, []byte{0})
		block = rest
		name, value, isEntry := strings.Cut(string(entry), "=")
		if !ended || !isEntry || !slices.Contains(Names, name) || slices.Contains(seen, name) || !printable(value) {
			return nil, ip, ErrVariables
		}
		seen = append(seen, name)
		entries = append(entries, string(entry))
		if name == "TCPREMOTEIP" {
			if ip, err = netip.ParseAddr(value); err != nil {
				return nil, ip, fmt.Errorf("%w: %w", ErrVariables, err)
			}
		}
	}
	if !ip.IsValid() {
		return nil, ip, ErrVariables
	}
	return entries, ip, nil
}

// printable refuses what could end a line of a script or of a header.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}
