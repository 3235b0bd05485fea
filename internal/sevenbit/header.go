package sevenbit

import (
	"bytes"
	"strings"
)

// header is the header of an entity, and what it says of the body.
type header struct {
	raw []byte // with the empty line, if there is one
	description
	boundary   string // of an entity with parts
	message    bool   // the body is a message
	sealed     bool   // it is signed or encrypted
	digest     bool   // its parts are messages
	hasVersion bool
	hasType    bool
}

// description says how a body without parts can be encoded.
type description struct {
	encoded bool // it is already
	text    bool // best as quoted-printable
	opaque  bool // not at all
}

// parseHeader takes apart a header; a part of a digest is a message unless its
// header says otherwise (RFC 2046 section 5.1.5).
func parseHeader(raw []byte, digest bool) header {
	h := header{raw: raw}
	contentType := "text/plain"
	if digest {
		contentType = "message/rfc822"
	}
	encoding := ""
	for field := range fields(raw) {
		name, value, ok := bytes.Cut(field, []byte(":"))
		if !ok {
			continue
		}
		switch strings.ToLower(string(bytes.TrimRight(name, " \t"))) {
		case "mime-version":
			h.hasVersion = true
		case "content-type":
			if !h.hasType {
				h.hasType, contentType = true, string(value)
			}
		case transferEncoding:
			if encoding == "" {
				encoding = strings.ToLower(strings.TrimSpace(withoutComments(string(value))))
			}
		}
	}
	switch encoding {
	case "", "7bit", "8bit", "binary":
	default:
		h.encoded = true
	}
	h.classify(contentType)
	return h
}

const transferEncoding = "content-transfer-encoding"

// classify takes in the content type.
func (h *header) classify(contentType string) {
	kind, params := parseType(contentType)
	main, sub, _ := strings.Cut(kind, "/")
	switch main {
	case "text", "":
		h.text = true
	case "multipart":
		h.sealed = sub == "signed" || sub == "encrypted"
		h.digest = sub == "digest"
		h.boundary = params
		h.opaque = params == "" // nobody knows where its parts are
	case "message":
		h.message = sub == "rfc822" && !h.encoded
		h.opaque = true
	}
}

// parseType takes apart the value of a Content-Type field: the type in lower
// case and the parameter boundary (RFC 2045 section 5.1).
func parseType(value string) (kind, boundary string) {
	value = withoutComments(value)
	kind, rest, _ := strings.Cut(value, ";")
	kind = strings.ToLower(strings.Join(strings.Fields(kind), ""))
	for rest != "" {
		name, after, found := strings.Cut(rest, "=")
		if !found {
			break
		}
		// What stands before a semicolon without "=" is no parameter.
		name = strings.ToLower(strings.TrimSpace(name[strings.LastIndexByte(name, ';')+1:]))
		var v string
		v, rest = parseValue(strings.TrimLeft(after, " \t\r\n"))
		if name == "boundary" && boundary == "" {
			boundary = strings.TrimRight(v, " \t")
		}
	}
	if len(boundary) > maxBoundary || strings.ContainsAny(boundary, "\r\n") {
		boundary = ""
	}
	return kind, boundary
}

// parseValue reads a token or a quoted string, and goes behind the semicolon
// that follows.
func parseValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return strings.TrimSpace(value), rest
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			_, rest, _ = strings.Cut(s[i+1:], ";")
			return b.String(), rest
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c != '\n' && c != '\r':
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// withoutComments leaves out what stands in parentheses outside of quotes.
func withoutComments(s string) string {
	if !strings.Contains(s, "(") {
		return s
	}
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			if depth == 0 {
				b.WriteString(s[i : i+2])
			}
			i++
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
			continue
		case c == ')' && depth > 0:
			depth--
			continue
		}
		if depth == 0 {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// fields yields the fields of a header with their continuation lines, up to the
// empty line.
func fields(raw []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(raw) > 0 && raw[0] != '\n' {
			end := 0
			for {
				line := bytes.IndexByte(raw[end:], '\n')
				if line < 0 {
					end = len(raw)
					break
				}
				end += line + 1
				if end == len(raw) || raw[end] != ' ' && raw[end] != '\t' {
					break
				}
			}
			if !yield(raw[:end]) {
				return
			}
			raw = raw[end:]
		}
	}
}

// appendTreated appends the header as it is for a body with that treatment;
// first says that it is the header of the message.
func (h header) appendTreated(out []byte, t treatment, first bool) []byte {
	if t == keep {
		return append(out, h.raw...)
	}
	for field := range fields(h.raw) {
		name, _, _ := bytes.Cut(field, []byte(":"))
		if strings.EqualFold(string(bytes.TrimRight(name, " \t")), transferEncoding) {
			continue
		}
		out = append(out, field...)
		if field[len(field)-1] != '\n' {
			out = append(out, '\n')
		}
	}
	if first && !h.hasVersion {
		out = append(out, "MIME-Version: 1.0\n"...)
	}
	if first && !h.hasType {
		out = append(out, "Content-Type: text/plain; charset=unknown-8bit\n"...) // RFC 1428
	}
	out = append(out, "Content-Transfer-Encoding: "...)
	switch t {
	case quote:
		out = append(out, "quoted-printable\n"...)
	case encode:
		out = append(out, "base64\n"...)
	case contain:
		out = append(out, "7bit\n"...)
	}
	return append(out, '\n')
}
