package showctl

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"postrider/internal/cdb"
	"postrider/internal/control"
	"postrider/internal/header"
	"postrider/internal/idn"
	"postrider/internal/settings"
)

// setting checks one control file: as its kind is read, by what its lines should
// be, and by its reader.
func (i *inspector) setting(s settings.Setting) {
	path := i.path(s.Name)
	if s.Kind == settings.Database {
		i.database(s)
		return
	}
	text, present, err := i.dir.Text(s.Name)
	if err != nil {
		i.unreadable(path, err)
		return
	}
	if present {
		i.form(s, text)
	}
	if i.shown(s) {
		return
	}
	if read := i.reader(s.Name); read != nil {
		if err := read(i.dir); err != nil {
			i.blame(err, s.Name, mendForm(s))
		}
	}
}

// shown tells of a file with secrets that others can read.
func (i *inspector) shown(s settings.Setting) bool {
	st, err := os.Stat(i.path(s.Name))
	if s.Secret != settings.AllSecret || err != nil || st.Mode().Perm()&0o077 == 0 {
		return false
	}
	owner := "qmailr"
	if s.Readers()[0] == "qmail-start" {
		owner = "root"
	}
	i.errorIn(s.Name, 0, fmt.Sprintf("others than its owner can read it (mode %04o), and it holds secrets", st.Mode().Perm()),
		"chown "+owner+" "+i.path(s.Name)+" && chmod 600 "+i.path(s.Name)+"; change the passwords in it.")
	return true
}

// form checks a text by its kind.
func (i *inspector) form(s settings.Setting, text string) {
	i.lineEnds(s, text)
	switch s.Kind {
	case settings.OneLine:
		i.oneLine(s, text)
	case settings.Number:
		i.number(s, text)
	case settings.List:
		i.lineByLine(s)
	case settings.Map:
		i.mapping(s)
	}
}

func (i *inspector) database(s settings.Setting) {
	if !i.plainFiles(i.path(s.Name)) {
		return
	}
	db, err := cdb.Open(i.path(s.Name))
	if err == nil {
		defer db.Close() // was only read
		_, err = db.Records()
	}
	switch {
	case err == nil || errors.Is(err, errNotExist):
	case errors.Is(err, cdb.ErrFormat):
		i.errorIn(s.Name, 0, "it is no database, or only a part of one", "Make it again: it is "+s.Form+".")
	default:
		i.unreadable(i.path(s.Name), err)
	}
}

// mendForm says of which form a line has to be.
func mendForm(s settings.Setting) string {
	switch {
	case s.Form == "":
		return "See qmail-showctl " + s.Name + "."
	case s.Kind == settings.OneLine:
		return "It is: " + s.Form + "."
	}
	return "A line is: " + s.Form + "."
}

// lineEnds finds CR, which no reader takes away: it is part of the value.
func (i *inspector) lineEnds(s settings.Setting, text string) {
	if s.Kind == settings.Certificates || s.Kind == settings.Text {
		return
	}
	number := 1
	for line := range strings.Lines(text) {
		if strings.HasSuffix(strings.TrimRight(line, "\n"), "\r") {
			i.errorIn(s.Name, number, "the line ends in CR, which is a part of the value",
				`Take it away: sed -i 's/\r$//' `+i.path(s.Name))
			return
		}
		number++
	}
}

func (i *inspector) oneLine(s settings.Setting, text string) {
	first, rest, _ := strings.Cut(text, "\n")
	value := strings.TrimRight(first, " \t")
	if strings.TrimSpace(rest) != "" {
		i.warn(s.Name, 2, "only the first line counts", "Take the other lines away.")
	}
	switch {
	case strings.HasPrefix(value, "#"):
		i.errorIn(s.Name, 1, "a file of one line has no comments: this is the value", "Put the value into the first line.")
	case s.Holds == settings.Host && value == "":
		i.errorIn(s.Name, 1, "the first line is empty, and so is the name", "Write the name into it, or remove the file: then "+orDefault(s)+" counts.")
	case s.Holds == settings.Host:
		i.host(s, value)
	case value != strings.TrimLeft(value, " \t"):
		i.warn(s.Name, 1, "blanks at the beginning of the line are a part of the value", "Take them away.")
	}
}

// orDefault names the default.
func orDefault(s settings.Setting) string {
	if s.Default == settings.NoDefault {
		return "nothing"
	}
	return s.Default
}

func (i *inspector) host(s settings.Setting, name string) {
	bare := strings.Trim(name, "[]")
	switch err := header.CheckHost(name); {
	case err != nil:
		i.errorIn(s.Name, 1, fmt.Sprintf("%s is no name of a host: %v", quoted(name), err), "Write the full name of the host, such as mail.example.org.")
	case strings.ContainsAny(name, "@:/ \t") && bare == name:
		i.errorIn(s.Name, 1, quoted(name)+" is no name of a host", "Write the full name of the host, such as mail.example.org.")
	case s.Name == settings.Me && !strings.Contains(name, "."):
		i.warn(s.Name, 1, quoted(name)+" has no domain", "Write the full name of this host, such as mail.example.org: other hosts expect it.")
	}
}

func (i *inspector) number(s settings.Setting, text string) {
	line, rest, _ := strings.Cut(text, "\n")
	digits := len(line) - len(strings.TrimLeft(line, "0123456789"))
	tail := strings.TrimRight(line[digits:], " \t\r")
	if strings.TrimSpace(rest) != "" {
		i.warn(s.Name, 2, "only the first line counts", "Take the other lines away.")
	}
	if digits == 0 {
		i.errorIn(s.Name, 1, quoted(line)+" begins with no digit: it is as if there were no file, and "+orDefault(s)+" counts", "Write a number, or remove the file.")
		return
	}
	if tail != "" {
		i.errorIn(s.Name, 1, quoted(line)+" counts as "+line[:digits]+": what follows the digits is not read", "Write the number alone; "+unit(s))
	}
	n, err := strconv.ParseInt(line[:digits], 10, 64)
	switch {
	case err != nil:
		i.errorIn(s.Name, 1, "the number is too large", "Write a smaller one.")
	case s.Max > 0 && n > s.Max:
		i.warn(s.Name, 1, fmt.Sprintf("%d is more than %d, which counts", n, s.Max), fmt.Sprintf("Write a number from %d to %d.", s.Min, s.Max))
	case n < s.Min:
		i.warn(s.Name, 1, fmt.Sprintf("%d is less than %d, which counts", n, s.Min), fmt.Sprintf("Write %d or more.", s.Min))
	}
}

// unit is the part of the meaning that says what is counted.
func unit(s settings.Setting) string { return "it means: " + firstSentence(s.Meaning) }

func (i *inspector) lineByLine(s settings.Setting) {
	lines, _, err := i.dir.Lines(s.Name)
	if err != nil {
		i.blame(err, s.Name, "Take what is not text out of the file.")
		return
	}
	seen := make(map[string]int, len(lines))
	for _, line := range lines {
		i.blanks(s, line)
		if problem, mend := wrongLine(s.Holds, line.Text); problem != "" {
			i.errorIn(s.Name, line.Number, quoted(line.Text)+" "+problem, mend)
		}
		if s.Holds == settings.Anything {
			continue
		}
		key := idn.AddressKey(line.Text)
		if first, again := seen[key]; again {
			i.warn(s.Name, line.Number, fmt.Sprintf("%s is in line %d already", quoted(line.Text), first), "Take one of them away.")
		} else {
			seen[key] = line.Number
		}
	}
}

func (i *inspector) blanks(s settings.Setting, line control.Line) {
	if s.Secret != settings.AllSecret && line.Text != strings.TrimLeft(line.Text, " \t") && s.Kind != settings.Rules {
		what := "blanks at the beginning of the line are a part of it: it never fits"
		if strings.HasPrefix(strings.TrimLeft(line.Text, " \t"), "#") {
			what = "a comment begins with # in the first place of the line: this is none"
		}
		i.errorIn(s.Name, line.Number, what, "Take them away.")
	}
}

// wrongLine says what of a line would never fit anything.
func wrongLine(holds settings.Content, line string) (problem, mend string) {
	line = strings.TrimLeft(strings.TrimRight(line, "\r"), " \t") // told elsewhere
	switch holds {
	case settings.Domains:
		if strings.HasPrefix(line, ".") {
			return "never fits: each domain has to be named here", "Write each domain in a line of its own, without the dot."
		}
		return wrongDomain(line)
	case settings.Suffixes:
		return wrongDomain(strings.TrimPrefix(line, "."))
	case settings.Addresses:
		if !strings.Contains(line, "@") {
			return "never fits: it is neither user@domain nor @domain", "Write @" + line + " for a domain, or the whole address."
		}
	}
	return "", ""
}

func wrongDomain(line string) (problem, mend string) {
	switch {
	case strings.Contains(line, "*"):
		return "never fits: there are no patterns", "Where a file takes them, .example.org stands for all names below example.org."
	case strings.Contains(line, "@"):
		return "never fits: it is an address, and not a domain", "Write what follows the @."
	case strings.HasPrefix(line, "["):
		return "", ""
	case strings.ContainsAny(line, ":/ \t,;"):
		return "never fits: it is no domain", "Write one domain a line, and nothing else in it."
	}
	if _, err := idn.ASCII(line); err != nil || header.CheckHost(line) != nil || strings.HasSuffix(line, ".") || strings.Contains(line, "..") {
		return "never fits: it is no domain", "Write a domain such as example.org."
	}
	return "", ""
}

func (i *inspector) mapping(s settings.Setting) {
	lines, _, err := i.dir.Lines(s.Name)
	if err != nil {
		i.blame(err, s.Name, "Take what is not text out of the file.")
		return
	}
	seen := make(map[string]int, len(lines))
	for _, line := range lines {
		i.blanks(s, line)
		key, value, found := strings.Cut(line.Text, ":")
		if !found {
			i.errorIn(s.Name, line.Number, "there is no colon: the line does not count", mendForm(s))
			continue
		}
		key = idn.AddressKey(key)
		if s.Secret != settings.Public && strings.ContainsAny(key, "| \t") {
			// It may be a login in the wrong place: nothing of it is told.
			i.errorIn(s.Name, line.Number, "what stands before the colon is no domain and no address", mendForm(s))
			continue
		}
		if first, again := seen[key]; again {
			i.warn(s.Name, line.Number, fmt.Sprintf("%s is in line %d already: the last one counts", quoted(key), first), "Take one of them away.")
		}
		seen[key] = line.Number
		if value != strings.TrimSpace(value) && s.Secret == settings.Public {
			i.warn(s.Name, line.Number, "blanks behind the colon are a part of the value", "Take them away.")
		}
		if s.Name == "remotetimeouts" || s.Name == "authsenders" {
			continue
		}
		i.mapKey(s, line.Number, key)
	}
}

// mapKey checks a domain, a suffix, or an address.
func (i *inspector) mapKey(s settings.Setting, number int, key string) {
	if at := strings.LastIndexByte(key, '@'); at >= 0 && s.Name == "virtualdomains" {
		key = key[at+1:]
	}
	key = strings.TrimPrefix(strings.TrimLeft(key, " \t"), ".")
	if key == "" {
		return
	}
	if problem, mend := wrongDomain(key); problem != "" {
		i.errorIn(s.Name, number, quoted(key)+" "+problem, mend)
	}
}

// quoted is a value in a message.
func quoted(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
