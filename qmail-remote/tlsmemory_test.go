package qmailremote

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postrider/internal/mtasts"
	wire "postrider/internal/wire/tlsseen"
)

// hostMemory is what qmail-tlsseen would know.
type hostMemory struct {
	known map[string]wire.Day
	err   error
	told  []string
}

func (m *hostMemory) saw(host string) { m.told = append(m.told, host) }

func (m *hostMemory) last(host string) (wire.Day, bool, error) {
	day, known := m.known[host]
	return day, known, m.err
}

// TestRememberedTLS: a host that had TLS gets no mail in plain text.
func TestRememberedTLS(t *testing.T) {
	t.Parallel()
	today := wire.DayOf(time.Now())
	recently, long := map[string]wire.Day{"mx.d.example": today - 10}, map[string]wire.Day{"mx.d.example": today - 31}
	const any = "ZConnected to 192.0.2.1 but it has no TLS any more, which mx.d.example had on "
	none := hello + strings.TrimPrefix(bye, "\n")
	refusing := offered + "C STARTTLS\nS 454 later" + bye
	for _, c := range []struct {
		name    string
		memory  hostMemory
		off     bool
		testing bool // by MTA-STS
		peer    []string
		want    string
		told    string
	}{
		{name: "never had it", peer: []string{hello + mailOver}, want: ok1},
		{name: "had it, and has it", memory: hostMemory{known: recently}, peer: []string{secure + mailOver}, want: okTLS + "none;/|", told: "mx.d.example"},
		{name: "has it now", peer: []string{secure + mailOver}, want: okTLS + "none;/|", told: "mx.d.example"},
		{name: "does not offer it any more", memory: hostMemory{known: recently}, peer: []string{none}, want: any},
		{name: "refuses it now", memory: hostMemory{known: recently}, peer: []string{refusing}, want: any},
		{name: "does not offer it any more, and it is tested", memory: hostMemory{known: recently}, testing: true, peer: []string{none}, want: any},
		{name: "long ago", memory: hostMemory{known: long}, peer: []string{hello + mailOver}, want: ok1},
		{name: "another host", memory: hostMemory{known: map[string]wire.Day{"d.example": today}}, peer: []string{hello + mailOver}, want: ok1},
		{name: "nobody can say", memory: hostMemory{err: errors.New("it does not run")}, peer: []string{none},
			want: "ZConnected to 192.0.2.1 but it is not known now whether it had TLS: it does not run. (#4.7.5)/|"},
		{name: "nobody can say, and TLS fails", memory: hostMemory{err: errors.New("it does not run")}, peer: []string{refusing},
			want: "ZConnected to 192.0.2.1 but it is not known now whether it had TLS: "},
		{name: "not asked for", memory: hostMemory{known: recently, err: errors.New("it does not run")}, off: true, peer: []string{hello + mailOver}, want: ok1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, oneExchanger...)
			h.cert = newAuthority(t).issue(time.Time{}, "mx.d.example")
			h.client.memory = &c.memory
			if !c.off {
				h.set.tlsRemember = 30 * 24 * time.Hour
			}
			if c.testing {
				h.set.mtasts = true
				h.client.policies = knownPolicies{"d.example": mtasts.Policy{Mode: mtasts.Testing, MX: []string{"mx.d.example"}}}
			}
			h.peer("192.0.2.1", scripts(c.peer)...)
			if got := withoutCipher(h.deliver(simpleMessage, "d.example", "r@d.example")); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			if told := strings.Join(c.memory.told, " "); told != c.told {
				t.Errorf("told %q", told)
			}
			h.end()
		})
	}
}
