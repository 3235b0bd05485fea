package listener

import "slices"

// SMTPWords may follow an address in control/smtplisten.
var SMTPWords = []string{"tls", "oldtls", "proxy", "submission"}

// SMTP is what the words of a line of control/smtplisten say.
type SMTP struct {
	TLS    bool // a connection begins with a TLS handshake (RFC 8314)
	OldTLS bool // TLS 1.0 and 1.1 are taken too
	Proxy  bool // a header of the PROXY protocol comes first
	// Submission: mail is taken from who has logged in (RFC 6409).
	Submission bool
}

// ParseSMTP reads words that are among SMTPWords.
func ParseSMTP(words []string) SMTP {
	return SMTP{
		TLS:        slices.Contains(words, "tls"),
		OldTLS:     slices.Contains(words, "oldtls"),
		Proxy:      slices.Contains(words, "proxy"),
		Submission: slices.Contains(words, "submission"),
	}
}
