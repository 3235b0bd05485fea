package migrate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Where is a place in a file that was read. Line is 0 where there is none.
type Where struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

func (w Where) String() string {
	switch {
	case w.File == "":
		return ""
	case w.Line == 0:
		return w.File
	}
	return fmt.Sprintf("%s:%d", w.File, w.Line)
}

// Kind says what a remark is about.
type Kind string

// The kinds of remarks.
const (
	Carried Kind = "carried" // it has its equivalent
	Decided Kind = "decided" // one of several ways was taken
	Step    Kind = "step"    // left to do by hand
	Lost    Kind = "lost"    // no equivalent
)

// Remark is what the operator is told about a part of the old configuration.
type Remark struct {
	Kind  Kind   `json:"kind"`
	Where Where  `json:"where"`
	What  string `json:"what"` // the part, in the words of the old system
	Text  string `json:"text"` // what became of it, or what to do
}

// Domain is one whose addresses are in a table, by their local parts in small
// letters.
type Domain struct {
	Name      string
	Addresses map[string][]Target
	// Default is for every other address; without it there is none.
	Default []Target
	// Owner is as whom mail is delivered; nil is the user alias.
	Owner *Owner
	// Single says that the domain is another host's: the addresses alone are
	// here.
	Single bool
}

// Owner is an account that has the mail of domains.
type Owner struct {
	Name     string
	UID, GID uint32
}

// File is one that is written as it is, by its name below the home directory.
type File struct {
	Text string
	Mode uint32
	From Where
}

// Site is what a mail server is to do.
type Site struct {
	// System is where it comes from: "Postfix".
	System string
	// Control are the lines of control files by name. An empty list is an empty
	// file, which says something else than none.
	Control map[string][]string
	// Secret are those of them that only their reader may read.
	Secret map[string]bool
	// Domains by name.
	Domains map[string]*Domain
	// Hosted are the domains whose local parts are users and aliases.
	Hosted []string
	// Names are local parts that lead elsewhere in every local domain, before
	// the tables of aliases: they become one of those.
	Names map[string][]Target
	// Files by their names below the home directory.
	Files map[string]File
	// Delivery is what qmail-start is to be called with.
	Delivery string
	Remarks  []Remark
	// Probes are addresses about which the systems are compared.
	Probes []string
}

// New returns an empty site.
func New(system string) *Site {
	return &Site{
		System: system, Control: map[string][]string{}, Secret: map[string]bool{},
		Domains: map[string]*Domain{}, Names: map[string][]Target{}, Files: map[string]File{},
	}
}

// Remark adds one.
func (s *Site) Remark(kind Kind, where Where, what, format string, args ...any) {
	s.Remarks = append(s.Remarks, Remark{kind, where, what, fmt.Sprintf(format, args...)})
}

// Set makes a control file say one thing.
func (s *Site) Set(name, line string) { s.Control[name] = []string{line} }

// Add adds lines to a control file, each once.
func (s *Site) Add(name string, lines ...string) {
	if s.Control[name] == nil {
		s.Control[name] = []string{}
	}
	for _, line := range lines {
		if !slices.Contains(s.Control[name], line) {
			s.Control[name] = append(s.Control[name], line)
		}
	}
}

// Domain returns the domain of a name, which is made if it is new.
func (s *Site) Domain(name string) *Domain {
	name = strings.ToLower(name)
	if s.Domains[name] == nil {
		s.Domains[name] = &Domain{Name: name, Addresses: map[string][]Target{}}
	}
	return s.Domains[name]
}

// Has tells whether a control file has a line.
func (s *Site) Has(name, line string) bool { return slices.Contains(s.Control[name], line) }

// SortedDomains returns the domains by name.
func (s *Site) SortedDomains() []*Domain {
	var all []*Domain
	for _, name := range slices.Sorted(maps.Keys(s.Domains)) {
		all = append(all, s.Domains[name])
	}
	return all
}

// Count returns how many remarks of a kind there are.
func (s *Site) Count(kind Kind) int {
	n := 0
	for _, r := range s.Remarks {
		if r.Kind == kind {
			n++
		}
	}
	return n
}
