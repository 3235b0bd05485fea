package control

import (
	"strconv"
	"strings"
)

// Dir is the directory that holds the control files.
type Dir string

// Line returns the first line of a file, or def if there is no such file.
func (d Dir) Line(name, def string) (string, error) {
	line, present, err := d.line(name)
	if err != nil {
		return "", err
	}
	if !present {
		return def, nil
	}
	return line, nil
}

// LineOrMe returns the first line of a file; if there is no such file, that of
// control/me; if there is neither, fallback (spec 0.1, "me-default").
func (d Dir) LineOrMe(name, fallback string) (string, error) {
	line, present, err := d.line(name)
	if err != nil {
		return "", err
	}
	if present {
		return line, nil
	}
	return d.Line("me", fallback)
}

// Int returns the decimal number that the first line of a file begins with. It
// returns def if there is no such file or its first byte is no digit.
func (d Dir) Int(name string, def int) (int, error) {
	line, present, err := d.line(name)
	if err != nil || !present {
		return def, err
	}
	digits := 0
	for digits < len(line) && '0' <= line[digits] && line[digits] <= '9' {
		digits++
	}
	if digits == 0 {
		return def, nil
	}
	n, err := strconv.Atoi(line[:digits])
	if err != nil {
		return 0, d.fault(name, 1, "number too large")
	}
	return n, nil
}

// List returns the lines of a file without those that are empty or begin with
// '#'. present tells a file without such lines from a missing one.
func (d Dir) List(name string) (lines []string, present bool, err error) {
	present, err = d.lines(name, func(_ int, line string) { lines = append(lines, line) })
	if err != nil {
		return nil, false, err
	}
	return lines, present, nil
}

// Line of a list, with its number in the file, from 1.
type Line struct {
	Number int
	Text   string
}

// Lines is List with the numbers of the lines.
func (d Dir) Lines(name string) (lines []Line, present bool, err error) {
	present, err = d.lines(name, func(number int, line string) { lines = append(lines, Line{number, line}) })
	if err != nil {
		return nil, false, err
	}
	return lines, present, nil
}

// lines calls add with the lines of a list.
func (d Dir) lines(name string, add func(number int, line string)) (present bool, err error) {
	text, present, err := d.read(name, maxFile)
	if err != nil || !present {
		return false, err
	}
	for number := 1; text != ""; number++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = trimRight(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := d.check(name, number, line); err != nil {
			return false, err
		}
		add(number, line)
	}
	return true, nil
}

// Text returns all of a file whose format is its reader's own, such as
// tcprules' rules.
func (d Dir) Text(name string) (text string, present bool, err error) {
	return d.read(name, maxFile)
}

// Map returns the lines of a list split at their first colon. Keys are in
// lower case (ASCII); of equal keys the last counts; lines without a colon do
// not count (spec 0.1).
func (d Dir) Map(name string) (m map[string]string, present bool, err error) {
	lines, present, err := d.List(name)
	if err != nil || !present {
		return nil, false, err
	}
	m = make(map[string]string, len(lines))
	for _, line := range lines {
		if key, value, found := strings.Cut(line, ":"); found {
			m[lower(key)] = value
		}
	}
	return m, true, nil
}

// Where returns the numbers of the first and of the last line of a list that
// matches; 0 is none. Nobody decides by it: it is for who explains a decision,
// and says nothing of a file that cannot be read.
func (d Dir) Where(name string, matches func(line string) bool) (first, last int) {
	text, _, err := d.read(name, maxFile)
	if err != nil {
		return 0, 0
	}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = trimRight(line)
		if line == "" || line[0] == '#' || !matches(line) {
			continue
		}
		if first == 0 {
			first = number
		}
		last = number
	}
	return first, last
}

// line returns the first line of a file.
func (d Dir) line(name string) (line string, present bool, err error) {
	text, present, err := d.read(name, maxFile)
	if err != nil || !present {
		return "", false, err
	}
	line, _, _ = strings.Cut(text, "\n")
	line = trimRight(line)
	return line, true, d.check(name, 1, line)
}

// check refuses what no value can be.
func (d Dir) check(name string, number int, line string) error {
	if len(line) > maxLine {
		return d.fault(name, number, "longer than "+strconv.Itoa(maxLine)+" bytes")
	}
	if strings.IndexByte(line, 0) >= 0 {
		return d.fault(name, number, "holds a NUL byte")
	}
	return nil
}

func trimRight(line string) string { return strings.TrimRight(line, " \t\n") }

// lower changes ASCII letters only: other bytes are opaque (spec 0.1).
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
