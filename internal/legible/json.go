package legible

import (
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON returns a writer of JSON, each write of which has whole characters, as those
// of encoding/json. In its strings, what must not be printed is escaped:
// encoding/json does that for few characters.
func JSON(w io.Writer) io.Writer { return &jsonWriter{w: w} }

type jsonWriter struct {
	w   io.Writer
	out []byte
}

func (j *jsonWriter) Write(p []byte) (int, error) {
	j.out = j.out[:0]
	for rest := p; len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		if c == '\n' || c == '\t' || prints(c) { // between values
			j.out = append(j.out, rest[:size]...)
		} else {
			j.out = appendEscaped(j.out, c)
		}
		rest = rest[size:]
	}
	if _, err := j.w.Write(j.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func appendEscaped(out []byte, c rune) []byte {
	if high, low := utf16.EncodeRune(c); high != utf8.RuneError {
		return fmt.Appendf(out, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(out, `\u%04x`, c)
}
