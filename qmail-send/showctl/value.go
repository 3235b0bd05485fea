package showctl

import (
	"fmt"
	"regexp"
	"strings"

	"postrider/internal/legible"
	"postrider/internal/settings"
)

// Value is what a setting is now.
type Value struct {
	Name   string   `json:"name"`
	Area   string   `json:"area"`
	Kind   string   `json:"kind"`
	Values []string `json:"values"`
	// More is how many lines are not shown.
	More int `json:"more,omitempty"`
	// Origin is "file", "default", or the file that counts instead.
	Origin   string   `json:"origin"`
	Default  string   `json:"default"`
	Meaning  string   `json:"meaning"`
	Form     string   `json:"form,omitempty"`
	Programs []string `json:"programs"`
}

const (
	fromFile    = "file"
	fromDefault = "default"
)

// value finds out what a setting is; of a list at most so many lines.
func (i *inspector) value(s settings.Setting, most int) Value {
	v := Value{Name: s.Name, Area: string(s.Area), Kind: string(s.Kind), Values: []string{}, Default: s.Default, Origin: fromDefault,
		Meaning: prose(s.Meaning), Form: s.Form, Programs: s.Readers()}
	lines, present, err := i.lines(s)
	switch {
	case err != nil:
		v.Origin, v.Values = fromFile, []string{"(cannot be read)"}
	case present:
		v.Origin, v.Values = fromFile, lines
		if s.Kind == settings.Number && !startsWithDigit(lines) {
			v.Origin = fromDefault // what is in the file does not count
			v.Values = i.byDefault(s, &v)
		}
	default:
		v.Values = i.byDefault(s, &v)
	}
	if len(v.Values) > most {
		v.Values, v.More = v.Values[:most], len(v.Values)-most
	}
	for n := range v.Values {
		v.Values[n] = legible.Line(v.Values[n])
	}
	return v
}

func startsWithDigit(lines []string) bool {
	return len(lines) > 0 && lines[0] != "" && '0' <= lines[0][0] && lines[0][0] <= '9'
}

// byDefault returns what counts without the file, and says where that is from.
func (i *inspector) byDefault(s settings.Setting, v *Value) []string {
	switch other, isOther := settings.Named(s.Default); {
	case s.Default == settings.NoDefault:
		return []string{}
	case isOther:
		instead := i.value(other, 1<<30)
		if instead.Origin == fromFile {
			v.Origin = other.Name
		}
		return instead.Values
	}
	return []string{s.Default}
}

// lines returns what a file says, without secrets.
func (i *inspector) lines(s settings.Setting) (lines []string, present bool, err error) {
	switch {
	case s.Kind == settings.Database:
		return []string{"(a database)"}, i.exists(s.Name), nil
	case s.Kind == settings.Certificates || s.Kind == settings.Text && s.Secret == settings.Public:
		text, present, err := i.dir.Text(s.Name)
		return []string{fmt.Sprintf("(%d bytes)", len(text))}, present, err
	case s.Kind == settings.OneLine:
		line, err := i.dir.Line(s.Name, "")
		return []string{line}, i.exists(s.Name), err
	case s.Kind == settings.Number:
		line, err := i.dir.Line(s.Name, "")
		digits := len(line) - len(strings.TrimLeft(line, "0123456789"))
		return []string{line[:digits]}, i.exists(s.Name), err
	}
	lines, present, err = i.dir.List(s.Name)
	switch s.Secret {
	case settings.AllSecret:
		if present {
			lines = []string{fmt.Sprintf("(%d lines, which are secret)", len(lines))}
		}
	case settings.LoginsSecret:
		for n, line := range lines {
			lines[n] = withoutLogin(line)
		}
	}
	return lines, present, err
}

// withoutLogin hides what follows the relay of a route.
func withoutLogin(line string) string {
	login, colon := strings.IndexAny(line, "| \t"), strings.IndexByte(line, ':')
	switch {
	case colon < 0 || 0 <= login && login < colon:
		return "(a line that is no route)" // nobody knows what it is
	case login < 0:
		return line
	}
	return line[:login] + "|(a login, which is secret)"
}

var link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// prose takes the Markdown out of a text.
func prose(text string) string {
	return link.ReplaceAllString(strings.ReplaceAll(text, "`", ""), "$1")
}

// firstSentence is as much as an overview has room for.
func firstSentence(text string) string {
	text = prose(text)
	if at := strings.Index(text, ". "); at >= 0 {
		return text[:at+1]
	}
	return text
}

// changes says for each program that reads a setting when a change counts.
func changesOf(s settings.Setting) (all []string) {
	for _, c := range settings.Changes() {
		for _, of := range strings.Split(c.Of, ", ") {
			if strings.Trim(of, "`") == s.Name {
				return []string{prose(c.When)}
			}
		}
	}
	for _, program := range s.Readers() {
		for _, c := range settings.Changes() {
			for _, of := range strings.Split(c.Of, ", ") {
				if of == program {
					all = append(all, program+": "+prose(c.When))
				}
			}
		}
	}
	return all
}
