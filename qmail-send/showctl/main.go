package showctl

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"postrider/internal/legible"
	"postrider/internal/settings"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitClean     = 0
	exitErrors    = 1
	exitUsage     = 100
	exitTemporary = 111 // it could not be printed
)

// usage is what --help says.
const usage = `usage: qmail-showctl [--check] [--no-dns] [--json] [SETTING ...]

  --check    only say what is wrong, and not what all settings are
  --no-dns   do not ask name servers
  --json     one JSON object

With names of settings, all that is known of these, and nothing else.
`

// options are the command line.
type options struct {
	check, noDNS, json bool
	names              []string
}

// Main is qmail-showctl.
func Main(w world.World, parts Parts) int {
	if asks(w) {
		return answer(w)
	}
	o, err := parse(w)
	if errors.Is(err, flag.ErrHelp) {
		return printed(w, func(out io.Writer) { _, _ = io.WriteString(out, usage) }, exitClean)
	}
	if err != nil {
		_, _ = fmt.Fprintf(w.Stderr, "qmail-showctl: %s\n%s", legible.Line(err.Error()), usage)
		return exitUsage
	}
	i := newInspector(w, parts, !o.noDNS)
	if len(o.names) > 0 {
		i.some(o.names)
	} else {
		i.all()
	}
	code := exitClean
	if len(i.of(Error)) > 0 {
		code = exitErrors
	}
	show := i.print
	if o.json {
		show = i.printJSON
	}
	return printed(w, func(out io.Writer) { show(out, o) }, code)
}

// printed prints, and returns the exit code.
func printed(w world.World, show func(io.Writer), code int) int {
	out := bufio.NewWriter(w.Stdout)
	show(out)
	if err := out.Flush(); err != nil {
		_, _ = fmt.Fprintf(w.Stderr, "qmail-showctl: unable to write: %v\n", err)
		return exitTemporary
	}
	return code
}

// parse reads the command line; options may stand behind names.
func parse(w world.World) (o options, err error) {
	f := flag.NewFlagSet("qmail-showctl", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.check, "check", false, "")
	f.BoolVar(&o.noDNS, "no-dns", false, "")
	f.BoolVar(&o.json, "json", false, "")
	for args := w.Args[1:]; ; args = f.Args()[1:] {
		if err := f.Parse(args); err != nil {
			return o, err
		}
		if f.NArg() == 0 {
			return o, nil
		}
		name := strings.TrimPrefix(f.Arg(0), "control/")
		if _, known := settings.Named(name); !known {
			return o, unknown(name)
		}
		o.names = append(o.names, name)
	}
}

func unknown(name string) error {
	if like := nearest(name); like != "" {
		return fmt.Errorf("there is no setting %q; is it %s?", name, like)
	}
	return fmt.Errorf("there is no setting %q", name)
}
