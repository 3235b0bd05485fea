package showctl

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"postrider/internal/legible"
	"postrider/internal/settings"
)

const (
	width = 79
	// mostLines is how many lines of a list the overview has.
	mostLines = 8
	indent    = "    "
)

// print writes the report for people.
func (i *inspector) print(out io.Writer, o options) {
	if len(o.names) > 0 {
		for _, name := range o.names {
			i.printSetting(out, named(name))
		}
		i.printFindings(out)
		return
	}
	_, _ = fmt.Fprintf(out, "Postrider in %s, %s\n", i.home, i.now.UTC().Format(time.DateTime+" UTC"))
	if !o.check {
		i.printAll(out)
	}
	i.printFacts(out)
	i.printFindings(out)
	i.printAbsent(out)
	_, _ = fmt.Fprintf(out, "\n%s.\n", i.summary())
}

// printAll writes an overview of all settings, by area.
func (i *inspector) printAll(out io.Writer) {
	for _, area := range settings.Areas() {
		heading(out, string(area))
		for _, s := range settings.All() {
			if s.Area == area {
				i.printShort(out, s)
			}
		}
	}
}

func heading(out io.Writer, title string) {
	_, _ = fmt.Fprintf(out, "\n%s\n%s\n", strings.ToUpper(title), strings.Repeat("-", utf8.RuneCountInString(title)))
}

// printShort is a setting in the overview: value, origin, and what it is for.
func (i *inspector) printShort(out io.Writer, s settings.Setting) {
	v := i.value(s, mostLines)
	mark := ""
	if i.wrong(i.path(s.Name)) {
		mark = "  (wrong, see below)"
	}
	_, _ = fmt.Fprintf(out, "%-20s %s%s\n", s.Name, origin(v), mark)
	printValues(out, v)
	paragraph(out, indent+indent, firstSentence(s.Meaning))
}

// origin says where a value is from, with a value that has room there.
func origin(v Value) string {
	from := "(" + v.Origin + ")"
	switch {
	case len(v.Values) == 0 && v.Origin == fromDefault:
		return "-"
	case len(v.Values) == 0:
		return "(an empty " + v.Origin + ")"
	case len(v.Values) == 1 && v.Values[0] == "":
		return "(empty)  " + from
	case len(v.Values) == 1 && utf8.RuneCountInString(v.Values[0]) < 36:
		return v.Values[0] + "  " + from
	}
	return from
}

// printValues writes what origin had no room for.
func printValues(out io.Writer, v Value) {
	if len(v.Values) < 2 && !strings.HasPrefix(origin(v), "("+v.Origin) {
		return
	}
	for _, line := range v.Values {
		cut(out, indent, line)
	}
	if v.More > 0 {
		_, _ = fmt.Fprintf(out, "%s... and %d more lines\n", indent, v.More)
	}
}

// printSetting is all that is known of one.
func (i *inspector) printSetting(out io.Writer, s settings.Setting) {
	const most = 1000
	v := i.value(s, most)
	_, _ = fmt.Fprintf(out, "%s: %s\n", s.Name, origin(v))
	printValues(out, v)
	_, _ = io.WriteString(out, "\n")
	paragraph(out, indent, v.Meaning)
	_, _ = io.WriteString(out, "\n")
	about := [][2]string{{"file", i.path(s.Name)}, {"kind", v.Kind}, {"form", v.Form}, {"default", v.Default}, {"limits", bounds(s)}, {"read by", strings.Join(v.Programs, ", ")}}
	for _, each := range about {
		if each[1] != "" {
			wrap(out, indent, fmt.Sprintf("%-9s", each[0]+":")+" "+each[1])
		}
	}
	for _, c := range changesOf(s) {
		wrap(out, indent, "a change counts: "+c)
	}
	_, _ = io.WriteString(out, "\n")
}

func bounds(s settings.Setting) string {
	switch {
	case s.Kind != settings.Number || s.Min == 0 && s.Max == 0:
		return ""
	case s.Max == 0:
		return fmt.Sprintf("%d or more", s.Min)
	}
	return fmt.Sprintf("%d to %d", s.Min, s.Max)
}

func (i *inspector) printFacts(out io.Writer) {
	if len(i.facts) == 0 {
		return
	}
	heading(out, "What is found")
	for _, f := range i.facts {
		wrap(out, "", f)
	}
}

// printFindings writes errors, warnings, and what could not be looked at.
func (i *inspector) printFindings(out io.Writer) {
	for _, each := range []struct {
		level Level
		title string
	}{{Error, "Errors"}, {Warning, "Warnings"}, {Unread, "Not looked at"}} {
		found := i.of(each.level)
		if len(found) == 0 {
			continue
		}
		heading(out, each.title)
		for _, f := range found {
			wrap(out, "", string(f.Level)+": "+legible.Line(f.where())+f.What)
			if f.Mend != "" {
				paragraph(out, indent, f.Mend)
			}
		}
	}
}

// printAbsent writes what does not work because of the errors.
func (i *inspector) printAbsent(out io.Writer) {
	if len(i.absent) == 0 {
		return
	}
	heading(out, "What does not work until that is mended")
	for _, a := range i.absent {
		wrap(out, "", a)
	}
}

func (i *inspector) summary() string {
	errors, warnings, unread := len(i.of(Error)), len(i.of(Warning)), len(i.of(Unread))
	text := count(errors, "error") + ", " + count(warnings, "warning")
	if unread > 0 {
		text += "; " + count(unread, "thing") + " could not be looked at"
		if !i.root {
			text += ": ask as root"
		}
	}
	return text
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// wrap writes an item, whose further lines are indented by four places more.
func wrap(out io.Writer, before, text string) { fold(out, before, before+indent, text) }

// paragraph writes one, all lines of which are indented in the same way.
func paragraph(out io.Writer, before, text string) { fold(out, before, before, text) }

func fold(out io.Writer, first, further, text string) {
	line := first
	used := false
	for _, word := range strings.Fields(text) {
		if used && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			_, _ = fmt.Fprintln(out, line)
			line, used = further, false
		}
		if used {
			line += " "
		}
		line += word
		used = true
	}
	_, _ = fmt.Fprintln(out, line)
}

// cut writes a line that is no prose: its end does not matter.
func cut(out io.Writer, before, line string) {
	if room := width - len(before); utf8.RuneCountInString(line) > room {
		line = string([]rune(line)[:room-3]) + "..."
	}
	_, _ = fmt.Fprintln(out, before+line)
}
