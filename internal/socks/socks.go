// Package socks asks a SOCKS5 proxy for a connection (RFC 1928), and logs in to it
// by a name and a password (RFC 1929).
//
// qmail-remote imports it. What the proxy says is not trusted, and read to the
// octet: what follows is the other host's. The caller sets the time limit.
//
// golang.org/x/net/proxy does the same, and does not tell a proxy that fails from
// a host that cannot be reached through it.
package socks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Login is who we are at the proxy. The zero value is nobody.
type Login struct{ User, Password string }

// String keeps passwords out of whatever is printed.
func (Login) String() string { return "a login" }

// GoString is String for %#v.
func (l Login) GoString() string { return l.String() }

const (
	version      = 5
	methodNone   = 0
	methodLogin  = 2
	noMethod     = 0xff
	loginVersion = 1
	connect      = 1
	addrIPv4     = 1
	addrName     = 3
	addrIPv6     = 4

	// MaxCredential is the most bytes of a name or a password.
	MaxCredential = 255
)

// Refusal is the reply of a proxy that works, and cannot or will not connect to
// the host.
type Refusal byte

var refusals = [...]string{
	1: "a failure of the proxy", 2: "its rules do not allow it", 3: "the network is unreachable", 4: "the host is unreachable",
	5: "the connection is refused", 6: "the time to live has expired", 7: "it knows no such command", 8: "it knows no such address",
}

func (r Refusal) Error() string {
	if r == 0 || int(r) >= len(refusals) {
		return fmt.Sprintf("the proxy says %d", byte(r))
	}
	return "the proxy says: " + refusals[r]
}

// What else a proxy can do wrong.
var (
	ErrNotSOCKS = errors.New("the proxy does not speak SOCKS5")
	ErrMethod   = errors.New("the proxy wants another login, or one at all")
	ErrLogin    = errors.New("the proxy refuses the login")
)

// Connect has the proxy at the other end of c connect to a host. After that c is
// the connection to it. A Refusal is about the host, any other error about the
// proxy.
func Connect(c io.ReadWriter, to netip.AddrPort, l Login) error {
	if err := choose(c, l); err != nil {
		return err
	}
	request := []byte{version, connect, 0, addrIPv4}
	if !to.Addr().Is4() {
		request[3] = addrIPv6
	}
	request = append(request, to.Addr().AsSlice()...)
	if _, err := c.Write(binary.BigEndian.AppendUint16(request, to.Port())); err != nil {
		return err
	}
	reply, err := read(c, 4)
	switch {
	case err != nil:
		return err
	case reply[0] != version:
		return ErrNotSOCKS
	case reply[1] != 0:
		return Refusal(reply[1])
	}
	return skipAddress(c, reply[3])
}

// choose agrees on how to log in, and does so.
func choose(c io.ReadWriter, l Login) error {
	hello := []byte{version, 1, methodNone}
	if l != (Login{}) {
		hello = []byte{version, 2, methodNone, methodLogin}
	}
	if _, err := c.Write(hello); err != nil {
		return err
	}
	chosen, err := read(c, 2)
	switch {
	case err != nil:
		return err
	case chosen[0] != version:
		return ErrNotSOCKS
	case chosen[1] == methodNone:
		return nil
	case chosen[1] != methodLogin || l == (Login{}):
		return ErrMethod
	}
	if len(l.User) > MaxCredential || len(l.Password) > MaxCredential {
		return ErrLogin
	}
	words := append([]byte{loginVersion, byte(len(l.User))}, l.User...)
	words = append(append(words, byte(len(l.Password))), l.Password...)
	if _, err := c.Write(words); err != nil {
		return err
	}
	answer, err := read(c, 2)
	if err == nil && answer[1] != 0 {
		err = ErrLogin
	}
	return err
}

// skipAddress reads from where the proxy connects, which says nothing to us.
func skipAddress(c io.Reader, kind byte) error {
	size := 0
	switch kind {
	case addrIPv4:
		size = 4
	case addrIPv6:
		size = 16
	case addrName:
		length, err := read(c, 1)
		if err != nil {
			return err
		}
		size = int(length[0])
	default:
		return ErrNotSOCKS
	}
	_, err := read(c, size+2)
	return err
}

func read(c io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return b, err
}
