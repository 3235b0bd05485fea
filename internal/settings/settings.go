package settings

import (
	"slices"
	"strings"
)

// Kind is how a file is read: by which method of control.Dir.
type Kind string

// The kinds, as docs/control.md has them.
const (
	OneLine      Kind = "line"
	Number       Kind = "number"
	List         Kind = "list"
	Map          Kind = "map"
	Rules        Kind = "rules" // tcprules' text
	Database     Kind = "cdb"
	Certificates Kind = "pem"
	Text         Kind = "text"
)

// Area is what a setting belongs to, for people.
type Area string

// The areas, in their order.
const (
	Names   Area = "names of this host"
	Mail    Area = "which mail is taken, and where it goes"
	Clients Area = "who may connect, log in and relay"
	Limits  Area = "what clients may do"
	Checks  Area = "what is checked of mail that comes"
	Queue   Area = "the queue"
	Users   Area = "deliveries on this host"
	Remote  Area = "mail to other hosts"
	TLS     Area = "TLS to other hosts, and signatures"
	Machine Area = "what processes may do"
)

// Areas returns all areas in their order.
func Areas() []Area {
	return []Area{Names, Mail, Clients, Limits, Checks, Queue, Users, Remote, TLS, Machine}
}

// Content is what a value, or each line of a list, is, where no reader refuses
// anything: what is written otherwise just never fits.
type Content byte

// The contents.
const (
	Anything  Content = iota
	Host              // the name of a host or a domain
	Domains           // a domain each
	Suffixes          // a domain each, or .domain for all below it
	Addresses         // user@domain or @domain each
)

// Secrecy is what of a file nobody is shown.
type Secrecy byte

// The secrecies.
const (
	Public       Secrecy = iota
	LoginsSecret         // what follows the relay of a route
	AllSecret
)

// Setting is one control file.
type Setting struct {
	Name string
	Area Area
	Kind Kind
	// Default is what counts without the file: a value, the name of the file that
	// counts instead, NoDefault, or words.
	Default string
	// Min and Max are the limits of a number; a Max of 0 is none. What is beyond
	// counts as the limit, or is refused.
	Min, Max int64
	Holds    Content
	Secret   Secrecy
	// Programs are those that read it, with commas between them.
	Programs string
	// Form is that of the value, or of a line; empty where the kind says it all.
	Form string
	// Meaning is in the Markdown of docs/control.md.
	Meaning string
}

// NoDefault is the default of a setting that is nothing without its file.
const NoDefault = "none"

// Me is the file that is the default of many others.
const Me = "me"

// Named returns the setting of a name.
func Named(name string) (s Setting, known bool) {
	all := All()
	i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return all[i], true
}

// Readers returns the programs that read it.
func (s Setting) Readers() []string { return strings.Split(s.Programs, ", ") }

// Row returns its row in docs/control.md.
func (s Setting) Row() string {
	def := s.Default
	if s.Literal() && s.Kind != Number {
		def = "`" + def + "`"
	}
	if def != Me && isSetting(def) {
		def = "`" + def + "`"
	}
	return "| `" + s.Name + "` | " + string(s.Kind) + " | " + def + " | " + s.Programs + " | " + s.Meaning + " |"
}

// Literal reports whether the default is a value, and neither another file nor
// words.
func (s Setting) Literal() bool {
	return s.Default != NoDefault && !isSetting(s.Default) && !strings.Contains(s.Default, " ")
}

func isSetting(name string) bool {
	_, known := Named(name)
	return known
}
