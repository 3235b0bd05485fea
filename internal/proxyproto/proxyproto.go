// Package proxyproto reads the header of the PROXY protocol, versions 1 and 2,
// by which a load balancer tells whose connection it passes on.
//
// Imported by the daemons of the network. Who may send a header is theirs to
// decide; what it holds is hostile all the same.
//
// It is our own, since a header is read with no octet behind it: what follows
// belongs to the client, may be the first of a TLS handshake, and has no buffer
// to wait in. The libraries for it read ahead.
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// maxLine is the longest header of version 1, with CR LF.
	maxLine = 107
	// maxBody is the longest rest of a header of version 2 that is taken: the
	// addresses, and what else the balancer says of the connection.
	maxBody = 2048
	// fixed is the part of a header of version 2 that all have.
	fixed = 16
	// fewest octets have the headers of both versions.
	fewest = 12
)

// signature begins a header of version 2.
var signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// ErrForm is returned for what is no header.
var ErrForm = errors.New("no header of the PROXY protocol")

// Header says whose connection it is.
type Header struct {
	// Source and Destination are the client and where it connected to. They
	// are invalid if the balancer speaks for itself, as to see whether we live.
	Source, Destination netip.AddrPort
}

// Read reads a header from the beginning of a connection, and nothing behind
// it.
func Read(r io.Reader) (Header, error) {
	var b [fixed]byte
	if _, err := io.ReadFull(r, b[:fewest]); err != nil {
		return Header{}, err
	}
	if bytes.Equal(b[:fewest], signature) {
		if _, err := io.ReadFull(r, b[fewest:]); err != nil {
			return Header{}, err
		}
		return readBinary(r, b)
	}
	if !bytes.HasPrefix(b[:], []byte("PROXY ")) {
		return Header{}, ErrForm
	}
	line, err := readLine(r, append(make([]byte, 0, maxLine), b[:fewest]...))
	if err != nil {
		return Header{}, err
	}
	return parseLine(line)
}

// readLine reads the rest of a line octet by octet, so that it reads no further.
func readLine(r io.Reader, line []byte) (string, error) {
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == maxLine {
			return "", ErrForm
		}
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return "", err
		}
	}
	return string(line[:len(line)-2]), nil
}

// parseLine takes a header of version 1.
func parseLine(line string) (Header, error) {
	fields := strings.Split(line, " ")
	if len(fields) >= 2 && fields[1] == "UNKNOWN" {
		return Header{}, nil // what stands behind it is to be ignored
	}
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return Header{}, ErrForm
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(fields[2+i])
		port, portErr := strconv.ParseUint(fields[4+i], 10, 16)
		if err != nil || portErr != nil || addr.Zone() != "" || addr.Is4() != (fields[1] == "TCP4") {
			return Header{}, ErrForm
		}
		ends[i] = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	}
	return Header{ends[0], ends[1]}, nil
}

// Numbers of version 2.
const (
	version2     = 0x20
	commandLocal = version2 | 0
	commandProxy = version2 | 1
	overTCP4     = 0x11
	overTCP6     = 0x21
	unspecified  = 0x00
)

// readBinary reads the rest of a header of version 2.
func readBinary(r io.Reader, b [fixed]byte) (Header, error) {
	size := int(binary.BigEndian.Uint16(b[14:]))
	if size > maxBody {
		return Header{}, ErrForm
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return Header{}, err
	}
	switch command, family := b[12], b[13]; {
	case command == commandLocal, command == commandProxy && family == unspecified:
		return Header{}, nil
	case command == commandProxy && family == overTCP4 && size >= 12:
		return ends(body, 4), nil
	case command == commandProxy && family == overTCP6 && size >= 36:
		return ends(body, 16), nil
	}
	return Header{}, ErrForm
}

// ends reads two addresses of so many octets, and two ports.
func ends(b []byte, n int) Header {
	end := func(i int) netip.AddrPort {
		addr, _ := netip.AddrFromSlice(b[i*n : (i+1)*n]) // n is 4 or 16
		return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b[2*n+2*i:]))
	}
	return Header{end(0), end(1)}
}
