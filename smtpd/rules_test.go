package smtpd

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/cdb"
	"postrider/internal/tcprules"
)

// The variables of a rule reach the Received line.
func TestRules(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"tcp.smtp": "127.:allow,TCPREMOTEINFO=\"joe\",TCPREMOTEHOST=\"h.example\",TCPLOCALHOST=\"l.example\"\n"})
	h.dial().play(transaction + "C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye)
	want := "Received: from h.example (HELO client.example.net) (joe@127.0.0.1)\n  by l.example with SMTP; "
	if m := h.spool.messages(); len(m) != 1 || !strings.HasPrefix(m[0].text, want) {
		t.Errorf("queued %q", m)
	}
}

// makeRules writes a tcp.smtp.cdb as tcprules does.
func makeRules(t *testing.T, home string, records map[string]string) {
	t.Helper()
	path := filepath.Join(home, "control", "tcp.smtp.cdb")
	err := cdb.Replace(path, path+".tmp", 0o644, func(w *cdb.Writer) error {
		for key, data := range records {
			if err := w.Add([]byte(key), []byte(data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Sites with tcpserver have a database; the text comes before it.
func TestRulesDatabase(t *testing.T) {
	t.Parallel()
	home := controlDir(t, nil)
	match := func() tcprules.Decision {
		t.Helper()
		s, err := loadSettings(home, true)
		if err != nil {
			t.Fatal(err)
		}
		rule, err := s.rules.Match(tcprules.Client{IP: netip.MustParseAddr("192.0.2.7")})
		if err != nil {
			t.Fatal(err)
		}
		return rule
	}
	makeRules(t, home, map[string]string{"192.0.2.": "+RELAYCLIENT=\x00", "": "D\x00"})
	if _, relay := match().Lookup("RELAYCLIENT"); !relay {
		t.Error("the database does not count")
	}
	setControl(t, home, "tcp.smtp", "192.0.2.7:deny\n")
	if !match().Deny {
		t.Error("the text does not come first")
	}
}

func TestDamagedRulesDatabase(t *testing.T) {
	t.Parallel()
	home := controlDir(t, nil)
	setControl(t, home, "tcp.smtp.cdb", "damaged")
	if _, err := loadSettings(home, true); err == nil || !strings.Contains(err.Error(), "tcp.smtp.cdb") {
		t.Errorf("error %v", err)
	}
	h := startHost(t, nil)
	makeRules(t, h.home, map[string]string{"127.0.0.1": "no rule"})
	for begun := time.Now(); ; { // until the daemon looks at its files again
		c := h.dial()
		if got := c.next(); got == "421 4.3.0 unable to read controls (#4.3.0)" {
			break
		} else if !strings.HasPrefix(got, "220 ") || time.Since(begun) > patience {
			t.Fatalf("the server says %q", got)
		}
	}
	if !strings.Contains(h.log.String(), "alert: control/tcp.smtp.cdb, no mail is taken: rule record is damaged") {
		t.Errorf("log:\n%s", h.log)
	}
}
