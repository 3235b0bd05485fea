package start

import (
	"strings"

	"postrider/internal/wire/parent"
)

// namesRemoteProgram reports whether QMAILREMOTE names a program that delivers
// mail to other hosts, as it does for qmail.
func namesRemoteProgram(environ []string) bool {
	named := false
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, "QMAILREMOTE="); found {
			named = value != ""
		}
	}
	return named
}

// addRemoteProgram adds qmail-rspawn, which is all remote workers there are.
func (p *plan) addRemoteProgram(set settings, send *member) {
	m := p.add("qmail-rspawn", "", stopRemote)
	m.gifts = []parent.Frame{{Kind: parent.Environment, Data: set.environ}}
	p.join(send, parent.SpawnRemote(0), m, parent.Spawn)
}
