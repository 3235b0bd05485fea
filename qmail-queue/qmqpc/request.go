package qmqpc

import (
	"bufio"
	"io"

	"postrider/internal/netstring"
)

const (
	// maxRequest is the most that a request holds: what stock servers take.
	maxRequest = 2000000000
	// chunkSize is how the message is kept: in pieces, so that it is never moved
	// to make room.
	chunkSize = 256 << 10
)

// request is what is sent to a server, in pieces.
type request [][]byte

// readRequest reads the message, and behind its end the envelope.
func readRequest(message, envelope io.Reader) (request, error) {
	chunks, size, err := readMessage(message)
	if err != nil {
		return nil, err
	}
	addresses, err := readEnvelope(bufio.NewReader(envelope))
	if err != nil {
		return nil, err
	}
	total := netstring.Size(size) + int64(len(addresses))
	if total > maxRequest {
		return nil, failure(exitMemory)
	}
	head := netstring.AppendHeader(netstring.AppendHeader(nil, total), size)
	tail := append(append([]byte{','}, addresses...), ',')
	return append(append(request{head}, chunks...), tail), nil
}

func readMessage(r io.Reader) (chunks [][]byte, size int64, err error) {
	for {
		chunk := make([]byte, chunkSize)
		n, err := io.ReadFull(r, chunk)
		if n > 0 {
			chunks = append(chunks, chunk[:n])
		}
		size += int64(n)
		switch {
		case size > maxRequest:
			return nil, 0, failure(exitMemory)
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			return chunks, size, nil
		case err != nil:
			return nil, 0, failure(exitRead)
		}
	}
}

// readEnvelope reads F sender NUL { T recipient NUL } NUL (spec section 1.1) and
// returns the addresses as netstrings; what follows is ignored.
func readEnvelope(r *bufio.Reader) (addresses []byte, err error) {
	for letter := byte('F'); ; letter = 'T' {
		first, err := r.ReadByte()
		switch {
		case err != nil:
			return nil, failure(exitRead) // the end came first: the caller gives up
		case first == 0 && letter == 'T':
			return addresses, nil
		case first != letter:
			return nil, failure(exitGrammar)
		}
		address, err := readAddress(r)
		if err != nil {
			return nil, err
		}
		addresses = netstring.Append(addresses, address)
		if len(addresses) > maxRequest {
			return nil, failure(exitMemory)
		}
	}
}

// maxAddress is the longest address that is worth sending: no server takes more
// than 1000 octets.
const maxAddress = 4000

// readAddress reads an address up to its NUL. Of one that is longer than any
// server takes a part is kept, which the server will refuse.
func readAddress(r *bufio.Reader) (string, error) {
	var address []byte
	for {
		c, err := r.ReadByte()
		switch {
		case err != nil:
			return "", failure(exitRead)
		case c == 0:
			return string(address), nil
		case len(address) < maxAddress:
			address = append(address, c)
		}
	}
}
