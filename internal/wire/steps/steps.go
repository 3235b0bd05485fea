// Package steps is how programs say what they would do with a message, and why,
// to qmail-explain.
//
// Imported by the rooms of those programs, and by that of qmail-explain. They run
// with the rights that they have for mail, and see addresses, files of users and
// answers of the DNS, all hostile: who reads their answers believes nothing beyond
// the form, and shows no byte of them as it came.
//
// # Protocol
//
// The first argument of such a program is --steps, the second the directory of the
// control files; empty means the usual one. Questions are lines on its standard
// input, answers lines on its standard output; at the end of the input it exits
// with 0. A line is a word and fields behind it, each behind a blank and quoted as
// Go quotes strings. The question is
//
//	ask field ...                what the fields mean is the program's
//
// and its answer any number of the first two lines and then the third:
//
//	step about text file line    what was found, and what says so
//	act kind text file line      what would be done
//	end class text               what becomes of the mail: see Class
//
// file is the path of what decided, and may be empty; line is 0 where there is
// none. A line has at most MaxLine bytes, an answer MaxLines lines and
// MaxAnswer bytes.
package steps

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// Option is the first argument of a program that shall speak this.
	Option = "--steps"
	// MaxLine is the most bytes of a line, MaxLines and MaxAnswer the most lines and
	// bytes of an answer: as many as a large list has.
	MaxLine   = 1 << 20
	MaxLines  = 200000
	MaxAnswer = 32 << 20
)

// Class is what becomes of mail, as far as the program knows.
type Class byte

// The classes.
const (
	Goes    Class = 'K' // it goes the way that is told
	Waits   Class = 'Z' // it is refused for now, or tried again later
	Fails   Class = 'D' // it is refused for good
	Unknown Class = '?' // this program may not see that, or was not asked to look
)

// Place is where something stands. The zero value is nowhere.
type Place struct {
	File string
	Line int
}

// Step is something that was found.
type Step struct {
	About string // a word
	Text  string // a sentence
	Place
}

// Act is something that would be done.
type Act struct {
	Kind string // a word
	Text string
	Place
}

// Answer is what a program says of a question.
type Answer struct {
	Steps []Step
	Acts  []Act
	Class Class
	Text  string // of the class
}

// Say appends a step.
func (a *Answer) Say(about string, at Place, format string, args ...any) {
	a.Steps = append(a.Steps, Step{about, fmt.Sprintf(format, args...), at})
}

// Do appends an act.
func (a *Answer) Do(kind, text string, at Place) {
	a.Acts = append(a.Acts, Act{kind, text, at})
}

// End sets what becomes of the mail.
func (a *Answer) End(c Class, text string) { a.Class, a.Text = c, text }

// Arguments takes the option and the directory off a command line, which begins
// with the program's name.
func Arguments(args []string) (dir string, rest []string, asked bool) {
	if len(args) < 3 || args[1] != Option {
		return "", nil, false
	}
	return args[2], args[3:], true
}

var (
	errForm   = errors.New("a line that is not of the form that the protocol has")
	errLength = fmt.Errorf("a line of more than %d bytes", MaxLine)
	errBytes  = fmt.Errorf("an answer of more than %d bytes", MaxAnswer)
	errLines  = fmt.Errorf("an answer of more than %d lines", MaxLines)
)

// Reader reads lines of this protocol.
type Reader struct{ r *bufio.Reader }

// NewReader returns a reader of r.
func NewReader(r io.Reader) *Reader { return &Reader{bufio.NewReaderSize(r, 4<<10)} }

// Serve answers questions until the input ends.
func Serve(in io.Reader, out io.Writer, answer func(question []string) Answer) error {
	r := NewReader(in)
	for {
		word, fields, err := r.line()
		if err == io.EOF {
			return nil
		}
		if err == nil && word != "ask" {
			err = errForm
		}
		if err != nil {
			return err
		}
		if _, err := out.Write(answer(fields).Append(nil)); err != nil {
			return err
		}
	}
}

// AppendQuestion appends the line of a question.
func AppendQuestion(b []byte, fields ...string) []byte { return appendLine(b, "ask", fields...) }

// Append appends the lines of an answer.
func (a Answer) Append(b []byte) []byte {
	for _, s := range a.Steps {
		b = appendLine(b, "step", s.About, s.Text, s.File, strconv.Itoa(s.Line))
	}
	for _, act := range a.Acts {
		b = appendLine(b, "act", act.Kind, act.Text, act.File, strconv.Itoa(act.Line))
	}
	return appendLine(b, "end", string(a.Class), a.Text)
}

func appendLine(b []byte, word string, fields ...string) []byte {
	b = append(b, word...)
	for _, f := range fields {
		b = strconv.AppendQuoteToASCII(append(b, ' '), f)
	}
	return append(b, '\n')
}

// Answer reads an answer.
func (r *Reader) Answer() (Answer, error) {
	var a Answer
	size := 0
	for range MaxLines {
		word, fields, err := r.line()
		for _, f := range fields {
			size += len(f)
		}
		if size > MaxAnswer {
			return Answer{}, errBytes
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Answer{}, err
		}
		ended, err := a.take(word, fields)
		if ended || err != nil {
			return a, err
		}
	}
	return Answer{}, errLines
}

// take adds a line to an answer.
func (a *Answer) take(word string, fields []string) (ended bool, err error) {
	if word == "end" && len(fields) == 2 && len(fields[0]) == 1 {
		a.Class, a.Text = Class(fields[0][0]), fields[1]
		if !strings.Contains("KZD?", fields[0]) {
			return false, errForm
		}
		return true, nil
	}
	if len(fields) != 4 {
		return false, errForm
	}
	at := Place{File: fields[2]}
	if at.Line, err = strconv.Atoi(fields[3]); err != nil || at.Line < 0 {
		return false, errForm
	}
	switch word {
	case "step":
		a.Steps = append(a.Steps, Step{fields[0], fields[1], at})
	case "act":
		a.Acts = append(a.Acts, Act{fields[0], fields[1], at})
	default:
		return false, errForm
	}
	return false, nil
}

// line reads one; io.EOF is the end between two.
func (r *Reader) line() (word string, fields []string, err error) {
	var line []byte
	for {
		piece, err := r.r.ReadSlice('\n')
		line = append(line, piece...)
		if err == nil {
			break
		}
		if err == bufio.ErrBufferFull && len(line) < MaxLine {
			continue
		}
		switch {
		case err == bufio.ErrBufferFull:
			err = errLength
		case err == io.EOF && len(line) > 0:
			err = io.ErrUnexpectedEOF
		}
		return "", nil, err
	}
	word, rest, _ := strings.Cut(string(line[:len(line)-1]), " ")
	for rest != "" {
		quoted, _ := strconv.QuotedPrefix(rest) // nothing, if that fails
		field, err := strconv.Unquote(quoted)
		if err != nil || quoted[0] != '"' {
			return "", nil, errForm
		}
		fields = append(fields, field)
		if rest = rest[len(quoted):]; rest != "" {
			if rest[0] != ' ' || rest == " " {
				return "", nil, errForm
			}
			rest = rest[1:]
		}
	}
	return word, fields, nil
}
