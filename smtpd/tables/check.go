package tables

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"postrider/internal/cdb"
	"postrider/internal/getopt"
	"postrider/internal/tcprules"
	"postrider/internal/world"
)

// maxRules is the longest text of rules.
const maxRules = 16 << 20

// RulesCheck is tcprulescheck: it says which rule of a database, or with -t of
// a text, is that for the client in the environment.
func RulesCheck(w world.World) int {
	opts, files, err := getopt.Parse(w.Args[1:], "t")
	if err != nil || len(files) == 0 {
		if err != nil {
			fmt.Fprintf(w.Stderr, "tcprulescheck: %v\n", err)
		}
		fmt.Fprint(w.Stderr, "tcprulescheck: usage: tcprulescheck [ -t ] rules.cdb\n")
		return exitWrong
	}
	client, err := clientOf(w)
	if err != nil {
		fmt.Fprintf(w.Stderr, "tcprulescheck: fatal: %v\n", err)
		return exitWrong
	}
	find := inDatabase
	if len(opts) > 0 {
		find = inText
	}
	name, decision, found, err := find(files[0], client)
	if err == nil {
		_, err = io.WriteString(w.Stdout, verdict(name, decision, found))
	}
	if err != nil {
		fmt.Fprintf(w.Stderr, "tcprulescheck: fatal: unable to read %s: %v\n", files[0], err)
		return exitLater
	}
	return exitDone
}

// clientOf takes the client from the variables that tcpserver sets.
func clientOf(w world.World) (c tcprules.Client, err error) {
	c.Host, _ = w.Getenv("TCPREMOTEHOST")
	c.Info, _ = w.Getenv("TCPREMOTEINFO")
	if ip, _ := w.Getenv("TCPREMOTEIP"); ip != "" {
		if c.IP, err = netip.ParseAddr(ip); err != nil {
			return c, fmt.Errorf("TCPREMOTEIP is no IP address: %s", ip)
		}
	}
	return c, nil
}

func inDatabase(path string, c tcprules.Client) (name string, d tcprules.Decision, found bool, err error) {
	db, err := cdb.Open(path)
	if err != nil {
		return "", tcprules.Decision{}, false, err
	}
	defer db.Close() // was only read
	return tcprules.FindDatabase(db, c)
}

func inText(path string, c tcprules.Client) (name string, d tcprules.Decision, found bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", tcprules.Decision{}, false, err
	}
	defer f.Close() // was only read
	text, err := io.ReadAll(io.LimitReader(f, maxRules+1))
	if err == nil && len(text) > maxRules {
		err = fmt.Errorf("longer than %d bytes", maxRules)
	}
	if err != nil {
		return "", tcprules.Decision{}, false, err
	}
	rules, err := tcprules.Parse(string(text))
	if err != nil {
		return "", tcprules.Decision{}, false, err
	}
	name, d, found = rules.Find(c)
	return name, d, found, nil
}

// verdict is what ucspi-tcp's program prints; it knows no variables that are
// removed.
func verdict(name string, d tcprules.Decision, found bool) string {
	if !found {
		return "default:\nallow connection\n"
	}
	var b strings.Builder
	b.WriteString("rule " + name + ":\n")
	if d.Deny {
		b.WriteString("deny connection\n")
		return b.String()
	}
	d.Items(func(item string, set bool) {
		if set {
			b.WriteString("set environment variable " + item + "\n")
		} else {
			b.WriteString("unset environment variable " + item + "\n")
		}
	})
	b.WriteString("allow connection\n")
	return b.String()
}
