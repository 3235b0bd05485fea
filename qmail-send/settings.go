package qmailsend

import (
	"errors"
	"time"

	"postrider/internal/control"
)

// settings are the control files that qmail-send reads at its start; locals
// and virtualdomains are read again on HUP (spec 2.1).
type settings struct {
	routes      *router
	concurrency [channels]int
	lifetime    time.Duration
	bounce      bounceSettings
}

// bounceSettings are what bounces say and where double bounces go.
type bounceSettings struct {
	from, host string // bouncefrom, bouncehost
	// doublebounceto, doublebouncehost; an empty first line of doublebounceto
	// discards double bounces.
	doubleTo, doubleHost string
}

// maxConcurrency bounds the two concurrency settings: each delivery holds a
// descriptor somewhere.
const maxConcurrency = 10000

func readSettings(dir control.Dir) (settings, error) {
	r := settingsReader{dir: dir}
	s := settings{
		routes: &router{
			locals:      r.locals(),
			virtual:     r.virtual(),
			percentHack: r.set("percenthack"),
			envNoAtHost: r.lineOrMe("envnoathost"),
		},
		concurrency: [channels]int{
			local:  min(r.number("concurrencylocal", 10), maxConcurrency),
			remote: min(r.number("concurrencyremote", 20), maxConcurrency),
		},
		lifetime: time.Duration(min(r.number("queuelifetime", 604800), 1<<32)) * time.Second,
		bounce: bounceSettings{
			from:       r.line("bouncefrom", "MAILER-DAEMON"),
			host:       r.lineOrMe("bouncehost"),
			doubleTo:   r.line("doublebounceto", "postmaster"),
			doubleHost: r.lineOrMe("doublebouncehost"),
		},
	}
	return s, r.err
}

// settingsReader reads control files; its error is sticky.
type settingsReader struct {
	dir control.Dir
	err error
}

func (r *settingsReader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *settingsReader) line(name, def string) string {
	s, err := r.dir.Line(name, def)
	r.keep(err)
	return s
}

func (r *settingsReader) lineOrMe(name string) string {
	s, err := r.dir.LineOrMe(name, name)
	r.keep(err)
	return s
}

func (r *settingsReader) number(name string, def int) int {
	n, err := r.dir.Int(name, def)
	r.keep(err)
	return n
}

func (r *settingsReader) set(name string) map[string]bool {
	lines, _, err := r.dir.List(name)
	r.keep(err)
	return setOf(lines)
}

func setOf(lines []string) map[string]bool {
	set := make(map[string]bool, len(lines))
	for _, line := range lines {
		set[lower(line)] = true
	}
	return set
}

// locals is the one list with me as its default; without both files qmail-send
// does not start.
func (r *settingsReader) locals() map[string]bool {
	lines, present, err := r.dir.List("locals")
	r.keep(err)
	if err != nil || present {
		return setOf(lines)
	}
	me, err := r.dir.Line("me", "")
	if err == nil && me == "" {
		err = errNoMe
	}
	r.keep(err)
	return setOf([]string{me})
}

func (r *settingsReader) virtual() map[string]string {
	m, _, err := r.dir.Map("virtualdomains")
	r.keep(err)
	return m
}

var errNoMe = errors.New("neither control/locals nor control/me says what is local")

// reread returns routes with locals and virtualdomains as they are now. failed
// names the file that cannot be read.
func (old *router) reread(dir control.Dir) (routes *router, failed string) {
	fresh := *old
	r := settingsReader{dir: dir}
	if fresh.locals = r.locals(); r.err != nil {
		return nil, "locals"
	}
	if fresh.virtual = r.virtual(); r.err != nil {
		return nil, "virtualdomains"
	}
	return &fresh, ""
}
