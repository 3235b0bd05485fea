package showctl

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"postrider/internal/priv"
)

// listening is a socket of TCP that somebody listens on.
type listening struct {
	at    netip.AddrPort
	inode string
}

// ports compares the addresses that control files name with who listens there.
func (i *inspector) ports() {
	sockets, err := listeners("/proc/net/tcp", "/proc/net/tcp6")
	if err != nil {
		i.add(Finding{Level: Unread, File: "/proc/net/tcp", What: reason(err), Mend: "Without it nobody knows who listens."})
		return
	}
	var owners map[string]string
	if i.root {
		owners = owningPrograms()
	}
	running := i.running()
	listens := i.parts.Listens(i.home)
	for _, file := range slices.Sorted(maps.Keys(listens)) {
		for _, text := range listens[file] {
			at, err := netip.ParseAddrPort(text)
			if err == nil {
				i.port(file, at, sockets, owners, running)
			}
		}
	}
}

// port looks at one address.
func (i *inspector) port(file string, at netip.AddrPort, sockets []listening, owners map[string]string, running bool) {
	var who []string
	for _, s := range sockets {
		if s.at.Port() == at.Port() && overlap(s.at.Addr(), at.Addr()) {
			who = append(who, owners[s.inode])
		}
	}
	ours := func(program string) bool {
		role, known := priv.RoleOf(program)
		return known && len(role.Links) > 0 || program == "qmail-start"
	}
	switch {
	case len(who) == 0 && running:
		i.errorIn(file, 0, "nobody listens on "+at.String(), "qmail-start opens it with its next start; its log says what is wrong.")
	case len(who) == 0:
	case owners == nil || slices.Contains(who, ""):
		i.facts = append(i.facts, "somebody listens on "+at.String()+"; root can see who")
	case slices.ContainsFunc(who, ours):
		i.facts = append(i.facts, fmt.Sprintf("%s listens on %s", who[slices.IndexFunc(who, ours)], at))
	default:
		i.errorIn(file, 0, fmt.Sprintf("%s listens on %s, and not this suite: mail that comes there is not for it", who[0], at),
			"Stop that program (systemctl disable --now ...), or take the address out of the file; then start qmail-start again.")
	}
}

// overlap reports whether a connection to one could reach the other.
func overlap(a, b netip.Addr) bool {
	if a.Is4() != b.Is4() {
		return a.Is6() && a.IsUnspecified() // takes IPv4, too, as a rule
	}
	return a == b || a.IsUnspecified() || b.IsUnspecified()
}

// listeners reads the kernel's tables.
func listeners(paths ...string) (all []listening, err error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(path, "6") {
			continue // a machine without IPv6
		}
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if s, ok := parseListening(lines.Text()); ok {
				all = append(all, s)
			}
		}
		err = lines.Err()
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// listenState is TCP_LISTEN in these tables.
const listenState = "0A"

// parseListening reads a line of /proc/net/tcp (proc(5)).
func parseListening(line string) (listening, bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != listenState {
		return listening{}, false
	}
	address, port, found := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(address)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if !found || err != nil || portErr != nil || len(raw) != 4 && len(raw) != 16 {
		return listening{}, false
	}
	for word := 0; word < len(raw); word += 4 { // words of the machine's order: of all that Go runs on here, little-endian
		slices.Reverse(raw[word : word+4])
	}
	addr, ok := netip.AddrFromSlice(raw)
	return listening{netip.AddrPortFrom(addr.Unmap(), uint16(n)), f[9]}, ok
}

// owningPrograms returns the names of programs by the inodes of their sockets.
func owningPrograms() map[string]string {
	owners := make(map[string]string)
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return owners
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue // ended meanwhile
		}
		inode, isSocket := strings.CutPrefix(target, "socket:[")
		if !isSocket {
			continue
		}
		inode = strings.TrimSuffix(inode, "]")
		name := programOf(filepath.Dir(filepath.Dir(link)))
		if before := owners[inode]; before == "" || strings.HasPrefix(name, "qmail-") && name != "qmail-start" {
			owners[inode] = name
		}
	}
	return owners
}

// programOf returns the name of a process's program: of the file, which a process
// cannot choose.
func programOf(proc string) string {
	path, err := os.Readlink(proc + "/exe")
	if err != nil {
		return "a process"
	}
	return filepath.Base(strings.TrimSuffix(path, " (deleted)"))
}
