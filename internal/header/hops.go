package header

import "bytes"

// MaxHops is how many Received and Delivered-To lines make a loop.
const MaxHops = 100

// hopWords are what a header line that counts begins with, in any case and
// without regard to what follows (spec section 6.4).
var hopWords = [...]string{"received", "delivered"}

// HopCounter counts the hops of a message that passes through it in pieces.
// The zero value is at the start of the header.
type HopCounter struct {
	Hops   int  // so far
	Header int  // octets of the header so far
	column int  // octets of the current line seen so far
	differ bool // the line begins with none of hopWords
	word   int  // index of the word that it may begin with
	body   bool // the empty line was seen
}

// Add takes the next piece of the message.
func (h *HopCounter) Add(piece []byte) {
	if !h.body {
		h.Header += len(piece) - h.scan(piece)
	}
}

// scan takes a piece and returns how many octets of it are behind the header.
func (h *HopCounter) scan(piece []byte) (rest int) {
	for len(piece) > 0 && !h.body {
		if h.differ {
			lf := bytes.IndexByte(piece, '\n')
			if lf < 0 {
				return 0
			}
			piece = piece[lf+1:]
			h.column, h.differ = 0, false
			continue
		}
		h.octet(piece[0])
		piece = piece[1:]
	}
	return len(piece)
}

// octet takes one octet of a line that may still count.
func (h *HopCounter) octet(c byte) {
	switch {
	case c == '\n' && h.column == 0:
		h.body = true
		return
	case c == '\n':
		h.column = 0
		return
	}
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	if h.column == 0 {
		h.word = 0
		if c == hopWords[1][0] {
			h.word = 1
		}
	}
	word := hopWords[h.word]
	if c != word[h.column] {
		h.differ = true
		return
	}
	if h.column++; h.column == len(word) {
		h.Hops++
		h.differ = true // counted: the rest of the line does not matter
	}
}
