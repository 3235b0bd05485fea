package qmail

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"postrider/internal/migrate"
	"postrider/internal/tcprules"
)

// usualRules are where the rules for SMTP are, by the guide that was followed.
func (r *reader) usualRules() []string {
	return []string{"/etc/tcp.smtp", "/etc/tcprules.d/tcp.smtp", path.Join(r.home, "control/tcp.smtp"), path.Join(r.home, "etc/tcp.smtp"), "/home/vpopmail/etc/tcp.smtp"}
}

// rules takes the rules of tcpserver over.
func (r *reader) rules(name string) error {
	places := []string{name}
	if name == "" {
		places = r.usualRules()
	}
	for _, place := range places {
		text, err := r.tree.Read(place)
		if errors.Is(err, fs.ErrNotExist) && name == "" {
			continue
		}
		if err != nil {
			return err
		}
		r.site.Remark(migrate.Carried, migrate.Where{File: place}, "rules of tcpserver", "control/tcp.smtp, which is read as text: tcprules need not be run")
		r.rulesOf(place, text)
		return nil
	}
	r.site.Remark(migrate.Step, migrate.Where{}, "rules of tcpserver", "none were found in %s: --rules names the file; without rules nobody may relay but who logs in", strings.Join(places, ", "))
	return nil
}

// variables are those that rules set, and what becomes of them: nothing behind a
// name, and it is looked at; a text, and it is not.
var variables = map[string]string{
	"RELAYCLIENT": "", "DATABYTES": "", "QMAILQUEUE": "", "RBLSMTPD": "", "DNSBLSKIP": "", "SPFBEHAVIOR": "", "CHECKRDNS": "",
	"GREYLIST": "", "NOMILTERS": "", "RATECONNSMTP": "", "RATEMAILSMTP": "", "RATERCPTSMTP": "", "DISABLETLS": "",
	"SMTPS":               "the word tls in control/smtplisten makes a port one of TLS",
	"TLSCIPHERS":          "ciphers are not chosen",
	"FORCETLS":            "passwords are taken inside TLS, unless control/authinsecure is 1",
	"SMTPAUTH":            "control/smtplisten says by port (submission), and control/authcram whether CRAM-MD5 is offered",
	"DNSBLLIST":           "lists are in control/dnsbllist, for all clients",
	"DNSBLFAILCLOSED":     "control/dnsblfailclosed, for all clients",
	"VALIDRCPTTO":         "qmail-lookup knows who has a mailbox",
	"CHKUSER_START":       "qmail-lookup knows who has a mailbox",
	"CHKUSER_RCPTLIMIT":   "control/maxrcpt, for all clients",
	"BRTLIMIT":            "control/maxbadrcpt, for all clients",
	"TARPITCOUNT":         "control/tarpiterrors, for all clients",
	"TARPITDELAY":         "control/tarpitdelay, for all clients",
	"MAXRCPTCOUNT":        "control/maxrcpt, for all clients",
	"SMTPD_GREETDELAY":    "control/greetdelay, for all clients",
	"GREETDELAY":          "control/greetdelay, for all clients",
	"DROP_PRE_GREET":      "who talks before the greeting is refused with control/greetdelay",
	"BADMIMETYPE":         "messages are looked at by a milter or a filter",
	"BADLOADERTYPE":       "messages are looked at by a milter or a filter",
	"QS_SPAMASSASSIN":     "of qmail-scanner, which gets it in its environment only if QMAILQUEUE runs a script that sets it",
	"QMAILSCANNER":        "of qmail-scanner",
	"DKSIGN":              "control/dkimsign signs",
	"DKVERIFY":            "a milter verifies",
	"DKIMSIGN":            "control/dkimsign signs",
	"DKIMVERIFY":          "a milter verifies",
	"DKIMQUEUE":           "control/dkimsign signs",
	"SENDER_NOCHECK":      "a sender's domain is not judged but by SPF",
	"NOP0FCHECK":          "what system a client has is not looked at",
	"SIMSCAN_DEBUG":       "of simscan",
	"ALLOW_BARELF":        "bare LF is refused",
	"RCPTCHECK":           "qmail-lookup knows who has a mailbox",
	"REJECTNULLSENDERS":   "bounces are taken",
	"DISABLE_MAXRCPT":     "control/maxrcpt is for all clients",
	"DISABLE_BADMAILFROM": "control/badmailfrom is for all clients",
	"ENABLE_SPP":          "there are no plugins",
	"CHECKRECIPIENT":      "qmail-lookup knows who has a mailbox",
}

// rulesOf takes the lines of a file that this suite understands as a whole.
func (r *reader) rulesOf(name, text string) {
	var kept []string
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		where := migrate.Where{File: name, Line: number}
		records, err := tcprules.ParseRecords(line)
		if _, whole := tcprules.Parse(line + "\n"); err != nil && whole != nil {
			r.site.Remark(migrate.Lost, where, line, "%v: the client gets the next rule that fits", err)
			continue
		}
		if len(records.Keys) > 0 && strings.Contains(records.Keys[0], "=") {
			r.site.Remark(migrate.Lost, where, line, "names of clients are not looked up: a rule goes by addresses")
		}
		if len(records.Keys) > 0 && strings.Contains(records.Keys[0], "@") {
			r.site.Remark(migrate.Lost, where, line, "no ident server is asked who a client's user is")
		}
		r.variablesOf(where, line)
		kept = append(kept, line)
	}
	r.site.Control["tcp.smtp"] = kept
}

// variablesOf says which variables of a rule nothing looks at.
func (r *reader) variablesOf(where migrate.Where, line string) {
	records, err := tcprules.ParseRecords(line)
	if err != nil {
		return
	}
	d, err := tcprules.ParseRecord([]byte(records.Data))
	if err != nil {
		return
	}
	d.Items(func(item string, set bool) {
		name, value, _ := strings.Cut(item, "=")
		why, known := variables[name]
		switch {
		case !set:
		case !known:
			r.site.Remark(migrate.Lost, where, name, "nothing looks at this variable; a program of QMAILQUEUE does not get it either")
		case name == "RELAYCLIENT" && value != "":
			r.site.Remark(migrate.Decided, where, item, "it is appended to each recipient, as with qmail")
		case why != "":
			r.site.Remark(migrate.Lost, where, item, "%s", why)
		case name == "QMAILQUEUE":
			r.site.Remark(migrate.Step, where, item, "the program runs as the user qmailf: files that it keeps are to be that user's")
		}
	})
}
