package explain

import (
	"errors"
	"flag"
	"io"
	"net/netip"
	"path/filepath"

	"postrider/internal/address"
	"postrider/internal/legible"
)

const usage = "usage: qmail-explain [--from SENDER] [--client IP | --local] [--control DIR] [--default DELIVERY] [--no-dns] [--json] ADDRESS...\n" +
	"       qmail-explain [--control DIR] [...] --corpus FILE\n"

// stranger is a client that no rule knows: an address that nobody has (RFC 5737).
const stranger = "192.0.2.1"

// options are the command line.
type options struct {
	sender    string
	client    string // empty: a program of this host hands the message in
	control   string // empty: the usual directory
	delivery  string // the default delivery; empty: that of qmail-start
	corpus    string // a file of addresses
	noDNS     bool
	json      bool
	addresses []string
}

// parseOptions reads the command line; options may be behind addresses.
func parseOptions(args []string) (o options, err error) {
	f := flag.NewFlagSet("qmail-explain", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.sender, "from", "", "")
	f.StringVar(&o.client, "client", stranger, "")
	local := f.Bool("local", false, "")
	f.StringVar(&o.control, "control", "", "")
	f.StringVar(&o.delivery, "default", "", "")
	f.StringVar(&o.corpus, "corpus", "", "")
	f.BoolVar(&o.noDNS, "no-dns", false, "")
	f.BoolVar(&o.json, "json", false, "")
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			return o, err
		}
		all := len(args) - f.NArg()
		rest := f.Args()
		if all > 0 && args[all-1] == "--" {
			o.addresses = append(o.addresses, rest...)
			break
		}
		if len(rest) == 0 {
			break
		}
		o.addresses = append(o.addresses, rest[0])
		args = rest[1:]
	}
	if *local {
		o.client = ""
	}
	return o, o.check()
}

func (o *options) check() (err error) {
	if o.sender == "<>" {
		o.sender = ""
	}
	if _, err := address.New(o.sender); err != nil {
		return errors.New("--from: " + err.Error())
	}
	if _, err := netip.ParseAddr(o.client); err != nil && o.client != "" {
		return errors.New("--client: an IP address is needed")
	}
	if o.control != "" {
		if o.control, err = filepath.Abs(o.control); err != nil {
			return err
		}
	}
	switch {
	case o.corpus == "" && len(o.addresses) == 0:
		return errors.New("no address")
	case o.corpus != "" && len(o.addresses) > 0:
		return errors.New("either addresses or --corpus")
	}
	for _, a := range o.addresses {
		if !isRecipient(a) {
			return errors.New(legible.Line(a) + " is no address")
		}
	}
	return nil
}

func isRecipient(s string) bool {
	a, err := address.New(s)
	return err == nil && !a.IsNull()
}
