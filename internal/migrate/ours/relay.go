package ours

import (
	"strings"

	"postrider/internal/control"
	"postrider/internal/migrate"
)

// relays are the files with routes, the one first whose line counts where two
// have a domain.
type relays []struct {
	protocol string
	routes   map[string]string
}

func loadRelays(dir control.Dir) (relays, error) {
	all := relays{{protocol: "lmtp"}, {protocol: "qmtp"}, {protocol: "smtp"}}
	var err error
	for i, name := range []string{"lmtproutes", "qmtproutes", "smtproutes"} {
		if all[i].routes, _, err = dir.Map(name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// via is the host that is asked for a domain, or nothing.
func (r relays) via(domain string) string {
	for i := 0; i <= len(domain); i++ {
		if i > 0 && i < len(domain) && domain[i] != '.' {
			continue
		}
		for _, file := range r {
			if value, found := file.routes[domain[i:]]; found {
				value, _, _ = strings.Cut(value, "|")
				value, _, _ = strings.Cut(value, " ")
				return migrate.Relay(file.protocol, value)
			}
		}
	}
	return ""
}
