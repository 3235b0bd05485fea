package exposition

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of what is read.
const (
	MaxText    = 1 << 20 // bytes
	MaxSamples = 20_000
	maxLabels  = 10
	maxWord    = 200 // bytes of a name, and of a label's value
)

// Sample is one line.
type Sample struct {
	Name   string
	Labels []Label
	Value  float64
}

// Label is a name and a value, which may be any text.
type Label struct{ Name, Value string }

// Get returns the value of a label, empty if there is none.
func (s Sample) Get(name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// Read calls visit with every sample of a text.
func Read(text string, visit func(Sample)) error {
	if len(text) > MaxText {
		return fmt.Errorf("there are more than %d bytes of figures", MaxText)
	}
	samples, number := 0, 0
	for line := range strings.Lines(text) {
		number++
		line = strings.Trim(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if samples++; samples > MaxSamples {
			return fmt.Errorf("there are more than %d figures", MaxSamples)
		}
		s, err := readSample(line)
		if err != nil {
			return fmt.Errorf("line %d of the figures: %w", number, err)
		}
		visit(s)
	}
	return nil
}

// The errors.
var (
	errName   = errors.New("there is no name")
	errLabels = errors.New("labels are not in the form name=\"value\"")
	errValue  = errors.New("there is no number")
	errLong   = fmt.Errorf("a word has more than %d bytes, or there are more than %d labels", maxWord, maxLabels)
)

// readSample reads a line: name{label="value",...} number [time].
func readSample(line string) (Sample, error) {
	var s Sample
	s.Name, line = cutName(line)
	if s.Name == "" {
		return s, errName
	}
	if len(s.Name) > maxWord {
		return s, errLong
	}
	line = blank(line)
	var err error
	if rest, labelled := strings.CutPrefix(line, "{"); labelled {
		if s.Labels, line, err = readLabels(rest); err != nil {
			return s, err
		}
	}
	fields := strings.Fields(line)
	if len(fields) != 1 && len(fields) != 2 {
		return s, errValue
	}
	if s.Value, err = strconv.ParseFloat(fields[0], 64); err != nil {
		return s, errValue
	}
	return s, nil
}

// readLabels reads up to the brace that ends them, and returns what follows it.
func readLabels(text string) (labels []Label, rest string, err error) {
	for {
		if rest, end := strings.CutPrefix(blank(text), "}"); end {
			return labels, rest, nil
		}
		l, rest, err := readLabel(blank(text))
		if err != nil {
			return nil, "", err
		}
		if len(labels) == maxLabels || len(l.Name) > maxWord {
			return nil, "", errLong
		}
		labels = append(labels, l)
		var more bool
		text, more = strings.CutPrefix(blank(rest), ",")
		if !more && !strings.HasPrefix(text, "}") {
			return nil, "", errLabels
		}
	}
}

func readLabel(text string) (l Label, rest string, err error) {
	l.Name, text = cutName(text)
	text, ok := strings.CutPrefix(blank(text), "=")
	if l.Name == "" || !ok {
		return l, "", errLabels
	}
	l.Value, rest, err = readQuoted(blank(text))
	return l, rest, err
}

// cutName takes a name off: letters, digits, "_" and ":".
func cutName(text string) (name, rest string) {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == ':', i > 0 && '0' <= c && c <= '9':
		default:
			return text[:i], text[i:]
		}
	}
	return text, ""
}

func blank(text string) string { return strings.TrimLeft(text, " \t") }

// readQuoted reads a value in quotes, in which backslashes stand before
// backslashes, quotes, and n for a line end.
func readQuoted(text string) (value, rest string, err error) {
	text, ok := strings.CutPrefix(text, `"`)
	if !ok {
		return "", "", errLabels
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '"' {
			return b.String(), text[i+1:], nil
		}
		if c == '\\' {
			if i++; i == len(text) {
				break
			}
			if c = text[i]; c == 'n' {
				c = '\n'
			}
		}
		if b.Len() == maxWord {
			return "", "", errLong
		}
		b.WriteByte(c)
	}
	return "", "", errLabels
}
