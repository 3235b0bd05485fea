package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"postrider/internal/legible"
)

// writeText writes a section for people.
func writeText(w io.Writer, s *section) error {
	var b strings.Builder
	appendText(&b, "", s)
	_, err := io.WriteString(w, b.String())
	return err
}

func appendText(b *strings.Builder, indent string, s *section) {
	from := "a program of this host"
	if s.Client != "" {
		from = "the client " + s.Client
	}
	if indent != "" {
		from = "the forward"
	}
	put := func(format string, args ...any) {
		b.WriteString(indent + legible.Line(fmt.Sprintf(format, args...)) + "\n")
	}
	put("Mail for %s from %s, handed in by %s:", s.Recipient, orNull(s.Sender), from)
	for _, each := range s.Steps {
		put("  %-10s %s%s", each.About+":", each.Text, where(each))
	}
	text := ""
	if s.Text != "" {
		text = ": " + strings.ReplaceAll(strings.TrimSuffix(s.Text, "\n"), "\n", " / ")
	}
	put("  %-10s %s%s", "outcome:", s.Verdict, text)
	for _, f := range s.Forwards {
		appendText(b, indent+"    ", f)
	}
}

// where is what says so.
func where(s step) string {
	switch {
	case s.File == "":
		return ""
	case s.Line == 0:
		return " [" + s.File + "]"
	}
	return " [" + s.File + ":" + strconv.Itoa(s.Line) + "]"
}

// writeJSON writes a value on a line.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(legible.JSON(w))
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
