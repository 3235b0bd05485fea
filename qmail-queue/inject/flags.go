package inject

import "strings"

// What a flag of sendmail does.
type effect int

const (
	ignored effect = iota // accepted, changes nothing
	// The others are what qmail's sendmail supports.
	headerToo // -t: recipients of the header, too
	sender    // -f, -r
	fullName  // -F
	mode      // -b: see the modes below
	notify    // -N: which reports are wanted (RFC 3461)
	returns   // -R: how much of the message comes back with one
	envid     // -V: what names the message in one
	runQueue  // -q
	rebuild   // -I
	refused   // known, and there is nothing like it here
)

// How a flag takes its argument.
type argument int

const (
	none     argument = iota
	needed            // attached, or the next word
	attached          // attached or none
)

// A flag is a row of the table of all flags that sendmail knows.
type flag struct {
	letter byte
	arg    argument
	effect effect
	why    string // of refused
}

// flags is spec section 7.2 and what callers that were written for Sendmail,
// Postfix, Exim or OpenSMTPD give: each is supported, ignored or refused with a
// reason. Everything else is an illegal option.
func flags() []flag {
	return []flag{
		{'t', none, headerToo, ""},
		{'f', needed, sender, ""},
		{'r', needed, sender, ""},
		{'F', needed, fullName, ""},
		{'b', needed, mode, ""},
		{'q', attached, runQueue, ""},
		{'I', none, rebuild, ""},
		{'N', needed, notify, ""},
		{'R', needed, returns, ""},
		{'V', needed, envid, ""},

		{'i', none, ignored, ""}, // a line of one dot never ends the message
		{'m', none, ignored, ""},
		{'n', none, ignored, ""},
		{'s', none, ignored, ""},
		{'v', none, ignored, ""},
		{'c', none, ignored, ""},
		{'x', none, ignored, ""},
		{'G', none, ignored, ""},
		{'T', none, ignored, ""},
		{'U', none, ignored, ""},
		{'A', attached, ignored, ""},
		{'B', needed, ignored, ""}, // bodies pass unchanged, 7 or 8 bits
		{'C', needed, ignored, ""},
		{'d', attached, ignored, ""},
		{'e', needed, ignored, ""},
		{'E', attached, ignored, ""},
		{'h', needed, ignored, ""},
		{'J', attached, ignored, ""},
		{'L', needed, ignored, ""},
		{'O', needed, ignored, ""},
		{'o', needed, ignored, ""},
		{'p', needed, ignored, ""},
		{'X', needed, ignored, ""},

		{'D', needed, refused, "there is no debug log"},
		{'M', needed, refused, "messages are not chosen by number; see qmail-qread"},
		{'Q', needed, refused, "there is no quarantine"},
	}
}

// A run mode is what follows -b.
type runMode struct {
	name  string
	start func(s *sendmail) int // nil: send a message
	why   string                // refused, and why
}

func runModes() []runMode {
	return []runMode{
		{"m", nil, ""},
		{"p", (*sendmail).showQueue, ""},
		{"s", (*sendmail).speakSMTP, ""},
		{"i", (*sendmail).newAliases, ""},
		{"v", (*sendmail).verify, ""},
		{"t", (*sendmail).test, ""},
		{"d", nil, "the daemons are started by qmail-start"},
		{"D", nil, "the daemons are started by qmail-start"},
		{"l", nil, "the daemons are started by qmail-start"},
		{"h", nil, "there is no host status"},
		{"H", nil, "there is no host status"},
		{"a", nil, "there is no ARPANET mode; use -bs"},
		// Those of Exim, by which programs find out whether it is one.
		{"V", nil, "this is not Exim"},
		{"P", nil, "this is not Exim; the configuration is in control/"},
		{"pc", nil, "messages are counted by qmail-qstat"},
		{"S", nil, "there is no batch mode; use -bs"},
	}
}

// optionLetters returns the table as getopt reads it.
func optionLetters() string {
	var b strings.Builder
	for _, f := range flags() {
		b.WriteByte(f.letter)
		switch f.arg {
		case needed:
			b.WriteString(":")
		case attached:
			b.WriteString("::")
		}
	}
	return b.String()
}

func findFlag(letter byte) flag {
	for _, f := range flags() {
		if f.letter == letter {
			return f
		}
	}
	return flag{}
}

func findMode(name string) (runMode, bool) {
	for _, m := range runModes() {
		if m.name == name {
			return m, true
		}
	}
	return runMode{}, false
}
