package settings

// Change is when a change of a file counts.
type Change struct {
	// Of are programs, or settings for which it is another time, with commas
	// between them.
	Of string
	// When is in the Markdown of docs/control.md.
	When string
}

// Changes returns all, in the order of docs/control.md.
func Changes() []Change {
	return []Change{
		{"qmail-inject, sendmail, newaliases, qmail-qread, qmail-queuectl, qmail-explain, qmail-getpw, qmail-pw2u", "with the next start, which is each time"},
		{"qmail-qmtpd, qmail-qmqpd", "with the next connection"},
		{"qmail-qmqpc", "with the next start, which is each time"},
		{"qmail-smtpd", "with the next connection, except `concurrencysmtp` and `concurrencysmtpip`, which count at once"},
		{"qmail-remote, qmail-local", "with the next delivery; `program...` of qmail-local with the next worker, which is a user's next delivery after a pause of a minute"},
		{"qmail-send", "`locals`, `virtualdomains` and `destinations` on HUP (`kill -HUP` to qmail-send or qmail-start); the others with its next start"},
		{"qmail-spool", "with its next start"},
		{"qmail-lookup", "a second after the change; `overquota`, `aliases`, `dotforward`, `vpopmail` and the tables at once; `localuidmin` and `break` with the next start"},
		{"qmail-filter", "`tcp.smtp` and `milters` with the next message, the others with its next start. Whether it is started at all: with the next start of qmail-start"},
		{"qmail-checkpass", "`checkpassword` with the next attempt to log in, the others with its next start; which program it is, and as whom: with the next start of qmail-start"},
		{"qmail-rspawn", "with its next start"},
		{"qmail-vlookup", "`vpopmail` and `dotforward` at once; `break` with the next start; `vpopmailuser` with the next start of qmail-start"},
		{"qmail-mtasts, qmail-tlsseen, qmail-tlspost", "with the next start"},
		{"qmail-tlsrpt", "with the next reports. Whether it is started at all: with the next start of qmail-start"},
		{"qmail-lspawn, qmail-start", "with the next start; `aliases` and the tables at once"},
		{"qmail-nss", "with the next start"},
		{"qmail-tlskey", "HUP to qmail-start; so do keys that `dkimsign` names first. The first of them all: restart qmail-start. Mail that needs them waits until then"},
		{"`sandbox`, `setuidprograms`", "with the next start of qmail-start. A symbolic link in `control` that leads out of it counts with the next start of the program that reads it."},
	}
}
