package showctl

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"postrider/internal/tcprules"
)

// anybody are addresses in networks for documentation: if all of them may do
// something, everybody may.
var anybody = []string{"192.0.2.77", "198.51.100.77", "203.0.113.77", "2001:db8::77"}

// rules looks at who may connect and relay.
func (i *inspector) rules() {
	set, err := tcprules.Load(i.dir)
	if err != nil {
		i.blame(err, "tcp.smtp", mendForm(named("tcp.smtp")))
		return
	}
	open := 0
	for _, ip := range anybody {
		rule, err := set.Match(tcprules.Client{IP: netip.MustParseAddr(ip)})
		if err != nil {
			i.errorIn("tcp.smtp.cdb", 0, reason(err), "Make it again with tcprules.")
			return
		}
		if _, relays := rule.Lookup("RELAYCLIENT"); relays && !rule.Deny {
			open++
		}
	}
	file := "tcp.smtp"
	_, textErr := os.Lstat(i.path("tcp.smtp"))
	if errors.Is(textErr, fs.ErrNotExist) {
		file = "tcp.smtp.cdb"
	}
	if open == len(anybody) {
		i.errorIn(file, i.lineWith(":allow", "RELAYCLIENT"), "everybody may relay: whoever likes sends mail to all the world by this host",
			`Name the networks that may: 192.0.2.:allow,RELAYCLIENT="" and :allow for all others.`)
	}
	if _, err := os.Lstat(i.path("tcp.smtp.cdb")); err == nil && file == "tcp.smtp" {
		i.warn("tcp.smtp.cdb", 0, "it does not count while there is tcp.smtp", "Remove one of the two.")
	}
	i.filtersExist()
}

// lineWith returns the last line of tcp.smtp that begins with prefix and holds
// word, or 0.
func (i *inspector) lineWith(prefix, word string) (number int) {
	lines, _, err := i.dir.Lines("tcp.smtp")
	if err != nil {
		return 0
	}
	for _, line := range lines {
		if strings.HasPrefix(line.Text, prefix) && strings.Contains(line.Text, word) {
			number = line.Number
		}
	}
	return number
}

// filtersExist finds programs of QMAILQUEUE that are not there.
func (i *inspector) filtersExist() {
	lines, _, err := i.dir.Lines("tcp.smtp")
	if err != nil {
		return // told already
	}
	for _, line := range lines {
		_, rest, found := strings.Cut(line.Text, ",QMAILQUEUE=")
		if !found || rest == "" {
			continue
		}
		program, _, _ := strings.Cut(rest[1:], rest[:1])
		i.program("tcp.smtp", line.Number, program, "mail of these clients waits")
	}
}

// program checks that a program which a file names can be run. A name that is
// none of a path is below the qmail home directory.
func (i *inspector) program(file string, number int, name, otherwise string) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(i.home, path)
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission) && !i.root:
	case err != nil:
		i.errorIn(file, number, fmt.Sprintf("there is no program %s (%s)", quoted(name), reason(err)), "Install it, or name another: until then "+otherwise+".")
	case !st.Mode().IsRegular() || st.Mode().Perm()&0o111 == 0:
		i.errorIn(file, number, quoted(name)+" cannot be run", "chmod 755 "+path+": until then "+otherwise+".")
	}
}
