package qmaillocal

import "fmt"

// explain says, in a dry run, why something would be done. What would be done is
// on standard output, in qmail's words for the programs that read them; this is
// on standard error, for people.
func (d *delivery) explain(format string, args ...any) {
	if d.notes != nil {
		// If he does not read it, he does not want to know.
		_, _ = fmt.Fprintf(d.notes, program+": "+format+"\n", args...)
	}
}

// explainFile says which instructions were found.
func (d *delivery) explainFile(name string, mode uint32, text string, defaultExt *string) {
	d.explain("%s is the file for the address", name)
	if defaultExt != nil {
		d.explain("DEFAULT is %q", *defaultExt)
	}
	switch {
	case text == "":
		d.explain("it is empty: the default delivery counts")
	case mode&forwardMode != 0:
		d.explain("its x bit is set: it may only forward")
	}
}
