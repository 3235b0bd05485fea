package migrate

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"

	"postrider/internal/legible"
	"postrider/internal/migrate"
	"postrider/internal/migrate/layout"
	"postrider/internal/migrate/postfix"
	"postrider/internal/migrate/qmail"
	"postrider/internal/migrate/sendmail"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK        = 0
	exitDifferent = 1 // something has no equivalent, or the systems do not agree
	exitMisused   = 100
	exitTemporary = 111 // a file cannot be read or written
)

const usage = `usage: qmail-migrate SYSTEM --to DIRECTORY [OPTION...]
       qmail-migrate SYSTEM --compare DIRECTORY [OPTION...]

SYSTEM is postfix, sendmail or qmail. DIRECTORY is new, and no part of the home
directory; with --compare it is one that was written before.

`

// errUsage is returned for what cannot be understood.
type errUsage string

func (e errUsage) Error() string { return string(e) }

// errDifferent says that the two systems are not the same.
var errDifferent = errors.New("different")

// run is one run of the program.
type run struct {
	world  world.World
	out    *bufio.Writer
	system string
	root   string // of the files that are read
	config string // where the configuration is in there
	rules  string // the rules of tcpserver, of qmail
	to     string
	with   string // the directory of --compare
	list   string // a file of addresses
	json   bool
	brief  bool
}

// Main is qmail-migrate.
func Main(w world.World) int {
	r := &run{world: w, out: bufio.NewWriterSize(w.Stdout, 64<<10)}
	err := r.arguments(w.Args[1:])
	if err == nil {
		err = r.do()
	}
	if flushErr := r.out.Flush(); err == nil {
		err = flushErr
	}
	var misused errUsage
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errDifferent):
		return exitDifferent
	case errors.As(err, &misused), errors.Is(err, layout.ErrPlace):
		fmt.Fprintf(w.Stderr, "qmail-migrate: %s\n", legible.Line(err.Error()))
		return exitMisused
	}
	fmt.Fprintf(w.Stderr, "qmail-migrate: fatal: %s\n", legible.Line(err.Error()))
	return exitTemporary
}

// arguments reads the command line. Options may stand before and behind the name
// of the system.
func (r *run) arguments(args []string) error {
	f := flag.NewFlagSet("qmail-migrate", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&r.to, "to", "", "write the new configuration into `DIRECTORY`")
	f.StringVar(&r.with, "compare", "", "compare with the configuration in `DIRECTORY`")
	f.StringVar(&r.list, "addresses", "", "compare these addresses, too: a `FILE` with one in each line")
	f.StringVar(&r.root, "root", "/", "all files that are read are below `DIRECTORY`: a copy of the other machine")
	f.StringVar(&r.config, "config", "", "the `DIRECTORY` of the old configuration: /etc/postfix, /etc/mail, /var/qmail")
	f.StringVar(&r.rules, "rules", "", "the `FILE` of tcpserver's rules, of qmail: /etc/tcp.smtp")
	f.BoolVar(&r.json, "json", false, "an object a line, for programs")
	f.BoolVar(&r.brief, "brief", false, "say only what is left to do and what has no equivalent")
	var words []string
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fmt.Fprint(r.out, usage)
				f.SetOutput(r.out)
				f.PrintDefaults()
				return err
			}
			return errUsage(err.Error())
		}
		if args = f.Args(); len(args) == 0 {
			break
		}
		words, args = append(words, args[0]), args[1:]
	}
	switch {
	case len(words) != 1:
		return errUsage("name one system: postfix, sendmail or qmail; --help says more")
	case (r.to == "") == (r.with == ""):
		return errUsage("one of --to and --compare is needed")
	case r.list != "" && r.with == "":
		return errUsage("--addresses goes with --compare")
	}
	r.system = words[0]
	return nil
}

func (r *run) do() error {
	tree, err := migrate.OpenTree(r.root)
	if err != nil {
		return err
	}
	defer tree.Close() // was only read
	site, judge, err := r.read(tree)
	if err != nil {
		return err
	}
	if r.with != "" {
		return r.compare(tree, site, judge)
	}
	if err := layout.Write(site, r.to, r.world.Home); err != nil {
		return err
	}
	problems := layout.Check(r.to, r.world.Home, tree)
	if err := r.report(site, problems); err != nil {
		return err
	}
	if site.Count(migrate.Lost) > 0 || len(problems) > 0 {
		return errDifferent
	}
	return nil
}

// read reads the configuration of a system.
func (r *run) read(tree *migrate.Tree) (*migrate.Site, migrate.Judge, error) {
	dir := func(usual string) string {
		if r.config != "" {
			return r.config
		}
		return usual
	}
	switch r.system {
	case "postfix":
		return postfix.Read(tree, dir(postfix.Directory))
	case "sendmail":
		return sendmail.Read(tree, dir(sendmail.Directory))
	case "qmail":
		return qmail.Read(tree, qmail.Places{Home: dir(qmail.Directory), Rules: r.rules}, r.world.Home)
	}
	return nil, nil, errUsage(fmt.Sprintf("%q is no system that is known: postfix, sendmail or qmail", r.system))
}
