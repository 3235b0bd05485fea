package qmailsend

import (
	"fmt"
	"strconv"
	"time"

	"postrider/internal/control"
	"postrider/internal/destinations"
	"postrider/internal/route"
	"postrider/qmail-send/bounce"
	"postrider/qmail-send/fair"
	"postrider/qmail-send/retry"
)

// settings are the control files that qmail-send reads at its start; locals
// and virtualdomains are read again on HUP (spec 2.1).
type settings struct {
	routes       *route.Table
	concurrency  [channels]int
	lifetimes    lifetimes
	retry        *retry.Rules
	senders      *fair.Senders
	destinations *destinations.Table
	bounce       bounce.Settings
	bounceMax    int64           // bytes; of a longer message only the header goes back
	delayWarn    []time.Duration // ages at which the sender hears of a delay
	rewriting    *rewriting      // nil: senders of forwarded mail stay
}

// maxConcurrency bounds the two concurrency settings: each delivery holds a
// descriptor somewhere.
const maxConcurrency = 10000

func readSettings(dir control.Dir) (settings, error) {
	r := settingsReader{dir: dir}
	s := settings{
		routes: r.routes(),
		concurrency: [channels]int{
			local:  min(r.number("concurrencylocal", 10), maxConcurrency),
			remote: min(r.number("concurrencyremote", 20), maxConcurrency),
		},
		lifetimes:    r.lifetimes(),
		retry:        readWith(&r, retry.ReadRules),
		senders:      readWith(&r, fair.ReadSenders),
		destinations: readWith(&r, destinations.Read),
		bounce: bounce.Settings{
			From:       r.line("bouncefrom", "MAILER-DAEMON"),
			Host:       r.lineOrMe("bouncehost"),
			DoubleTo:   r.line("doublebounceto", "postmaster"),
			DoubleHost: r.lineOrMe("doublebouncehost"),
		},
		bounceMax: int64(r.number("bouncemaxbytes", 50000)),
		delayWarn: r.ages("delaywarn", 4*time.Hour),
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

// readWith reads what has a parser of its own.
func readWith[T any](r *settingsReader, read func(control.Dir) (T, error)) T {
	v, err := read(r.dir)
	r.keep(err)
	return v
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

func (r *settingsReader) lifetimes() lifetimes {
	ordinary := r.seconds("queuelifetime", 604800)
	return lifetimes{
		ordinary: ordinary,
		bounce:   r.seconds("bouncelifetime", int(ordinary/time.Second)),
		bulk:     r.seconds("bulklifetime", int(ordinary/time.Second)),
	}
}

func (r *settingsReader) seconds(name string, def int) time.Duration {
	return time.Duration(min(r.number(name, def), 1<<32)) * time.Second
}

// maxAges is how many notices of one delay there can be.
const maxAges = 10

// ages returns numbers of seconds, one a line; 0 is none.
func (r *settingsReader) ages(name string, def time.Duration) (ages []time.Duration) {
	present, err := r.dir.Each(name, func(line string) error {
		seconds, err := strconv.ParseUint(line, 10, 32)
		switch {
		case err != nil:
			return fmt.Errorf("%q is no number of seconds", line)
		case len(ages) == maxAges:
			return fmt.Errorf("more than %d lines", maxAges)
		case seconds > 0:
			ages = append(ages, time.Duration(seconds)*time.Second)
		}
		return nil
	})
	r.keep(err)
	if err == nil && !present {
		return []time.Duration{def}
	}
	return ages
}

func (r *settingsReader) routes() *route.Table {
	t, err := route.Read(r.dir)
	r.keep(err)
	return t
}
