package smtpd

import (
	"strings"
	"testing"
)

// A line that other qmails take for a regular expression is told.
func TestExpressionHint(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"joe@example.com": false, "@example.com": false, "a.b+c@example.com": false, "@[192.0.2.1]": false, "what?@example.com": false,
		"^joe": true, "joe@.*": true, `joe@example\.com`: true, "example$": true, "!@example.com": true,
	} {
		s, err := loadSettings(controlDir(t, map[string]string{"badmailto": line + "\n"}), true)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(s.warnings) == 1 && strings.HasPrefix(s.warnings[0], "control/badmailto: "); got != want {
			t.Errorf("%s: %q", line, s.warnings)
		}
	}
}
