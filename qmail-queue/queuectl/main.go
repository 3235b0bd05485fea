package queuectl

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"postrider/internal/legible"
	"postrider/internal/queuedir"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK        = 0
	exitMisused   = 100
	exitTemporary = 111 // some of it was not done; asking again may help
)

// run is one run of the program.
type run struct {
	world  world.World
	layout queuedir.Layout
	out    *bufio.Writer
	choice *choice
	json   bool
	dry    bool
	body   bool   // show all of it
	text   string // why, the new address, or the next host
	repair bool   // check puts right what is safe
	failed bool   // something was not done
	code   int    // of check
}

// command is what the first argument names.
type command struct {
	name  string
	usage string // of what follows the name
	help  string
	text  string // the option that has the order's text, if there is one
	must  bool   // without the text there is nothing to do
	// changes says that it gives an order to qmail-send.
	changes bool
	do      func(*run, []string) error
}

// commands returns all, in the order of the manual.
func commands() []command {
	return []command{
		{name: "list", usage: "[choice]", help: "list messages", do: (*run).list},
		{name: "show", usage: "[--body] ID...", help: "show messages, with what has happened to them", do: (*run).show},
		{name: "destinations", usage: "[--all]", help: "list where mail goes, and how that stands", do: (*run).destinations},
		{name: "hold", usage: "choice", help: "try nothing until they are released", text: "why", changes: true, do: change('H')},
		{name: "release", usage: "choice", help: "release what is held, and try it", changes: true, do: change('R')},
		{name: "retry", usage: "choice", help: "try now", changes: true, do: change('T')},
		{name: "delete", usage: "choice", help: "remove, and tell nobody", changes: true, do: change('X')},
		{name: "bounce", usage: "choice", help: "give up, and tell the sender", text: "why", changes: true, do: change('B')},
		{name: "reroute", usage: "--via HOST choice", help: "have another host deliver them; an empty HOST undoes it", text: "via", must: true, changes: true, do: change('V')},
		{name: "readdress", usage: "--address ADDRESS choice", help: "change the address of a recipient", text: "address", must: true, changes: true, do: change('A')},
		{name: "export", usage: "choice > FILE", help: "write an archive of messages", do: (*run).export},
		{name: "import", usage: "FILE | DIRECTORY", help: "take messages from an archive, or from a queue of this suite or of qmail", do: (*run).importAll},
		{name: "check", usage: "[--repair]", help: "say whether the queue is sound, and what becomes of what is not", do: (*run).check},
	}
}

// errUsage is returned for what cannot be understood.
type errUsage string

func (e errUsage) Error() string { return string(e) }

// Main is qmail-queuectl.
func Main(w world.World) int {
	r := &run{world: w, layout: queuedir.At(w.Home), out: bufio.NewWriterSize(w.Stdout, 64<<10), choice: newChoice(w.Clock.Now())}
	err := r.command(w.Args[1:])
	if flushErr := r.out.Flush(); err == nil {
		err = flushErr
	}
	var misused errUsage
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &misused):
		r.complain("%v", err)
		return exitMisused
	case err != nil:
		r.complain("fatal: %v", err)
		return exitTemporary
	case r.failed:
		return exitTemporary
	}
	return r.code
}

func (r *run) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(r.world.Stderr, "qmail-queuectl: %s\n", legible.Text(fmt.Sprintf(format, args...)))
}

// command does what args say.
func (r *run) command(args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		r.help()
		if len(args) == 0 {
			return errUsage("a command is missing")
		}
		return nil
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		operands, err := r.options(c, args[1:])
		if err != nil {
			return err
		}
		return c.do(r, operands)
	}
	return errUsage(fmt.Sprintf("%q is no command; see qmail-queuectl help", args[0]))
}

func (r *run) help() {
	_, _ = io.WriteString(r.out, "usage: qmail-queuectl COMMAND [OPTION...] [ID...]\n\n")
	for _, c := range commands() {
		_, _ = fmt.Fprintf(r.out, "  %-12s %-26s %s\n", c.name, c.usage, c.help)
	}
	_, _ = io.WriteString(r.out, "\nA choice is message numbers, options that say which messages, or --all;\n"+
		"qmail-queuectl COMMAND --help lists them.\n")
}

// flags are the options of a command.
type flags struct{ *flag.FlagSet }

// pattern makes an option whose value is a pattern.
func (f *flags) pattern(name, usage string, set func(string)) {
	f.Func(name, usage, func(s string) error {
		set(strings.ToLower(s))
		return nil
	})
}

// options takes the options out of args, wherever they are.
func (r *run) options(c command, args []string) (operands []string, err error) {
	f := &flags{flag.NewFlagSet("qmail-queuectl "+c.name, flag.ContinueOnError)}
	f.SetOutput(r.world.Stderr)
	if strings.Contains(c.usage, "choice") {
		r.choice.flags(f)
	}
	f.BoolVar(&r.json, "json", false, "one JSON object a line")
	if c.changes {
		f.BoolVar(&r.dry, "dry-run", false, "say what would be done")
	}
	if c.name == "destinations" {
		f.BoolVar(&r.choice.all, "all", false, "those at rest, too")
	}
	if c.name == "show" {
		f.BoolVar(&r.body, "body", false, "the whole message")
	}
	if c.name == "check" {
		f.BoolVar(&r.repair, "repair", false, "put right what is safe; the suite must be stopped")
	}
	given := false
	if c.text != "" {
		f.Func(c.text, map[string]string{"why": "`TEXT` for the sender, or for whoever looks", "via": "`HOST`, HOST:PORT or [ADDRESS]",
			"address": "the new `ADDRESS`"}[c.text], func(s string) error {
			r.text, given = s, true
			return nil
		})
	}
	for {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, errUsage(err.Error())
		}
		if f.NArg() == 0 {
			break
		}
		operands = append(operands, f.Arg(0))
		args = f.Args()[1:]
	}
	if c.must && !given {
		return nil, errUsage("--" + c.text + " is missing")
	}
	return operands, nil
}

// choose takes message numbers; what changes something wants to be told what.
func (r *run) choose(operands []string, changes bool) error {
	for _, s := range operands {
		id, err := queuedir.ParseID(strings.TrimPrefix(s, "#"))
		if err != nil {
			return errUsage(fmt.Sprintf("%q: %v", s, err))
		}
		r.choice.ids = append(r.choice.ids, id)
	}
	if changes && r.choice.wide() && !r.choice.all {
		return errUsage("which messages? Give numbers, or options, or --all")
	}
	return nil
}

func unixTime(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
