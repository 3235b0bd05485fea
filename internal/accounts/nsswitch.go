package accounts

import (
	"errors"
	"io/fs"
	"strings"

	"postrider/internal/control"
)

// NSSwitchFile says which sources the machine's accounts come from.
const NSSwitchFile = "/etc/nsswitch.conf"

// Sources returns the names of the sources of passwd in the nsswitch.conf at
// path, in their order. One that is missing, or does not speak of passwd, means
// "files".
func Sources(path string) ([]string, error) {
	text, err := readBounded(path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{"files"}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseSources(string(text)), nil
}

func parseSources(text string) []string {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		database, rest, found := strings.Cut(line, ":")
		if !found || strings.TrimSpace(database) != "passwd" {
			continue
		}
		return strings.Fields(withoutActions(rest))
	}
	return []string{"files"}
}

// withoutActions takes out what stands in brackets: [NOTFOUND=return].
func withoutActions(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte(' ')
		_, s, _ = strings.Cut(rest, "]")
	}
}

// NSS is where else than in /etc/passwd the machine has accounts.
type NSS struct {
	// Asked says that there is anything to ask.
	Asked bool
	// MayBeAway says that a source may not answer, and then look as if it had
	// nobody: the C library does not tell one from the other.
	MayBeAway bool
	// Probe is an account that only such a source has; empty for none.
	Probe string
}

// ReadNSS reads /etc/nsswitch.conf and control/nssprobe. Accounts of systemd are
// those of services, as a rule: they alone are no reason to ask, but the
// administrator can make them one by a probe.
func ReadNSS(dir control.Dir) (NSS, error) {
	sources, err := Sources(NSSwitchFile)
	if err != nil {
		return NSS{}, err
	}
	probe, err := dir.Line("nssprobe", "")
	if err != nil {
		return NSS{}, err
	}
	return newNSS(sources, probe), nil
}

func newNSS(sources []string, probe string) NSS {
	n := NSS{Asked: probe != "", Probe: probe}
	for _, s := range sources {
		n.Asked = n.Asked || s != "files" && s != "systemd"
		n.MayBeAway = n.MayBeAway || !onThisMachine[s]
	}
	return n
}

// onThisMachine are the sources that have no server which may be away: they
// know whom they do not have.
var onThisMachine = map[string]bool{"files": true, "compat": true, "db": true, "systemd": true, "altfiles": true, "extrausers": true}
