package showctl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"postrider/internal/legible"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	Error   Level = "error"
	Warning Level = "warning"
	// Unread is what could not be looked at with the rights of who asks.
	Unread Level = "unread"
)

// Finding is something that was found.
type Finding struct {
	Level Level  `json:"level"`
	File  string `json:"file,omitempty"` // its full path; empty where it is about no file
	Line  int    `json:"line,omitempty"` // from 1; 0: the file as a whole
	What  string `json:"what"`
	Mend  string `json:"mend,omitempty"`
}

// where is what stands in front.
func (f Finding) where() string {
	switch {
	case f.File == "":
		return ""
	case f.Line == 0:
		return f.File + ": "
	}
	return fmt.Sprintf("%s, line %d: ", f.File, f.Line)
}

// maxEach is how many findings of a level one file has; the others are counted.
const maxEach = 20

// findings are all. What two programs say of one line is there once.
type findings struct {
	list []Finding
	each map[string]int
}

func (fs *findings) add(f Finding) {
	f.What, f.Mend = legible.Line(f.What), legible.Line(f.Mend)
	said := func(other Finding) bool {
		return other.Level == f.Level && other.File == f.File && other.Line == f.Line && other.What == f.What
	}
	if slices.ContainsFunc(fs.list, said) {
		return
	}
	if fs.each == nil {
		fs.each = make(map[string]int)
	}
	key := string(f.Level) + f.File
	fs.each[key]++
	switch n := fs.each[key]; {
	case f.File == "" || n < maxEach:
		fs.list = append(fs.list, f)
	case n == maxEach:
		fs.list = append(fs.list, Finding{Level: f.Level, File: f.File, What: "and more of the kind"})
	}
}

// of returns those of a level, by file and line.
func (fs *findings) of(level Level) (some []Finding) {
	for _, f := range fs.list {
		if f.Level == level {
			some = append(some, f)
		}
	}
	slices.SortStableFunc(some, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line)
	})
	return some
}

// about returns those about a file.
func (fs *findings) about(file string) (some []Finding) {
	for _, f := range fs.list {
		if f.File == file {
			some = append(some, f)
		}
	}
	return some
}

// wrong reports whether a file has an error.
func (fs *findings) wrong(file string) bool {
	return slices.ContainsFunc(fs.about(file), func(f Finding) bool { return f.Level == Error })
}
