package binarymime

import "bytes"

const (
	maxDepth      = 32
	maxBoundary   = 128 // RFC 2046 section 5.1.1 has 70, and not all keep to it
	maxBoundaries = 2 << 10
)

// boundaries are those of the multiparts that are open, outer ones first.
type boundaries struct {
	depth   int
	ends    [maxDepth]int // of each in text
	digests [maxDepth]bool
	text    [maxBoundaries]byte
}

// at returns the boundary of a level.
func (b *boundaries) at(level int) []byte {
	start := 0
	if level > 0 {
		start = b.ends[level-1]
	}
	return b.text[start:b.ends[level]]
}

// push opens a multipart; digest says that its parts are messages if they do
// not say what they are (RFC 2046 section 5.1.5).
func (b *boundaries) push(boundary []byte, digest bool) error {
	if !isBoundary(boundary) {
		return ErrBoundary
	}
	used := 0
	for level := range b.depth {
		if confusable(b.at(level), boundary) {
			return ErrBoundary
		}
		used = b.ends[level]
	}
	if b.depth == maxDepth || used+len(boundary) > maxBoundaries {
		return ErrDeep
	}
	b.ends[b.depth] = used + copy(b.text[used:], boundary)
	b.digests[b.depth] = digest
	b.depth++
	return nil
}

// isBoundary takes more than the characters that RFC 2046 has: they are in use.
func isBoundary(boundary []byte) bool {
	for _, octet := range boundary {
		if octet < ' ' || octet > '~' {
			return false
		}
	}
	n := len(boundary)
	return n > 0 && n <= maxBoundary && boundary[n-1] != ' '
}

// confusable reports whether a line may have either of two boundaries.
func confusable(a, b []byte) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, same := bytes.CutPrefix(b, a)
	return same && (len(rest) == 0 || string(rest) == "--")
}

// find returns whose boundary a line has, and whether it is the one behind the
// last part. Blanks may pad it (RFC 2046 section 5.1.1).
func (b *boundaries) find(line []byte) (level int, last, found bool) {
	text, hyphens := bytes.CutPrefix(line, []byte("--"))
	if !hyphens {
		return 0, false, false
	}
	text = bytes.TrimRight(text, " \t")
	for level := b.depth - 1; level >= 0; level-- {
		rest, same := bytes.CutPrefix(text, b.at(level))
		if same && (len(rest) == 0 || string(rest) == "--") {
			return level, len(rest) > 0, true
		}
	}
	return 0, false, false
}
