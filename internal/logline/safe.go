package logline

// Safe returns s as one word fit for a log line (spec 0.3, "log-safe"): LF
// becomes '/'; '%', blanks, control characters and bytes over 126 become '_'.
func Safe(s string) string {
	for i := range len(s) {
		if safeByte(s[i]) != s[i] {
			return safeCopy(s, i)
		}
	}
	return s
}

func safeCopy(s string, from int) string {
	b := []byte(s)
	for i := from; i < len(b); i++ {
		b[i] = safeByte(b[i])
	}
	return string(b)
}

func safeByte(c byte) byte {
	switch {
	case c == '\n':
		return '/'
	case c == '%', c <= ' ', c >= 127:
		return '_'
	}
	return c
}
