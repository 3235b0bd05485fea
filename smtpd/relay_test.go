package smtpd

import (
	"strings"
	"testing"
)

// tries sends one RCPT and expects the code.
func tries(mailbox, code string) string {
	return hello + "C: MAIL FROM:<joe@example.net>\nS: 250 2.1.0 ok\nC: RCPT TO:<" + mailbox + ">\nS: " + code + "*" + bye
}

func TestRelay(t *testing.T) {
	t.Parallel()
	relay := map[string]string{"tcp.smtp": "127.:allow,RELAYCLIENT=\"\"\n"}
	hack := map[string]string{"percenthack": "hack.example.com\nexample.com\n", "envnoathost": "hack.example.com\n", "rcpthosts": "example.com\nhack.example.com\n"}
	runDialogues(t, []dialogue{
		{name: "listed", script: tries("jim@example.com", "250")},
		{name: "listed, other case", script: tries("jim@EXAMPLE.Com", "250")},
		{name: "not listed", script: tries("jim@example.net", "553")},
		{name: "below a listed domain", script: tries("jim@a.example.com", "553")},
		{name: "below a listed suffix", script: tries("jim@a.b.sub.example.com", "250")},
		{name: "the suffix without its dot", script: tries("jim@sub.example.com", "553")},
		{name: "listed name at the end of another", script: tries("jim@evil-example.com", "553")},
		{name: "listed name at the start", script: tries("jim@example.com.evil.net", "553")},
		{name: "trailing dot", script: tries("jim@example.com.", "553")},
		{name: "no domain", script: tries("postmaster", "250")},
		{name: "percent", script: tries("victim%evil.net@example.com", "250")},
		{name: "bang", script: tries("evil.net!victim@example.com", "250")},
		{name: "two at signs, ours last", script: tries("victim@evil.net@example.com", "250")},
		{name: "two at signs, ours first", script: tries("victim@example.com@evil.net", "553")},
		{name: "quoted foreign address", script: tries(`"victim@evil.net"`, "553")},
		{name: "foreign address in quotes, ours behind", script: tries(`"victim@evil.net"@example.com`, "250")},
		{name: "source route through us", script: tries("@example.com:victim@evil.net", "553")},
		{name: "escaped at sign", script: tries(`victim\@evil.net`, "553")},
		{name: "literal of somebody", script: tries("victim@[198.51.100.1]", "553")},
		{name: "literal of ours", script: tries("jim@[127.0.0.1]", "553")},
		{name: "literal of ours, localiphost listed", files: map[string]string{"localiphost": "example.com\n"}, script: tries("jim@[127.0.0.1]", "250")},
		{name: "mapped IPv4 literal", files: map[string]string{"localiphost": "example.com\n"}, script: tries("jim@[IPv6:::ffff:127.0.0.1]", "250")},
		{name: "Kelvin sign is no k", files: map[string]string{"rcpthosts": "kelvin.example\n"}, script: tries("jim@\u212aelvin.example", "553")},
		{name: "NUL", script: hello + "C: MAIL FROM:<joe@example.net>\nS: 250 *\nR: RCPT TO:<jim@evil.net\\x00@example.com>\\r\\n\nS: 500 *" + bye},
		{name: "percenthack to a foreign domain", files: hack, script: tries("victim%evil.net@example.com", "553")},
		{name: "percenthack twice", files: hack, script: tries("victim%evil.net%hack.example.com@example.com", "553")},
		{name: "percenthack to a listed domain", files: hack, script: tries("jim%example.com@hack.example.com", "250")},
		{name: "percenthack without domain", files: hack, script: tries("victim%evil.net", "553")},
		{name: "percenthack needs a percent", files: hack, script: tries("jim@hack.example.com", "250")},

		{name: "RELAYCLIENT", files: relay, script: tries("jim@example.net", "250")},
		{name: "RELAYCLIENT for somebody else", files: map[string]string{"tcp.smtp": "10.:allow,RELAYCLIENT=\"\"\n"}, script: tries("jim@example.net", "553")},
		{name: "empty rcpthosts", files: map[string]string{"rcpthosts": ""}, script: tries("jim@example.com", "553")},
		{name: "empty rcpthosts, no domain", files: map[string]string{"rcpthosts": ""}, script: tries("jim", "250")},
		{name: "no rcpthosts is no relay", files: map[string]string{"rcpthosts": "-"}, script: tries("jim@example.com", "553")},
		{name: "no rcpthosts: me", files: map[string]string{"rcpthosts": "-"}, script: tries("jim@mx.example.org", "250")},
		{name: "no rcpthosts: locals", files: map[string]string{"rcpthosts": "-", "locals": "local.example\n"}, script: tries("jim@local.example", "250")},
		{name: "no rcpthosts: not me but locals", files: map[string]string{"rcpthosts": "-", "locals": "local.example\n"}, script: tries("jim@mx.example.org", "553")},
		{name: "a file with CR LF lists nothing", files: map[string]string{"rcpthosts": "example.com\r\n"}, script: tries("jim@example.com", "553")},
		{
			name: "RELAYCLIENT is appended to recipients", files: map[string]string{"tcp.smtp": "127.:allow,RELAYCLIENT=\"@gate.example\"\n"},
			script: transaction + "C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye,
			queued: []string{`Fjoe@example.net Tjim@example.com@gate.example "x\n"`},
		},
		{
			name: "a literal of ours as the sender", files: map[string]string{"localiphost": "ip.example\n"},
			script: hello + "C: MAIL FROM:<joe@[127.0.0.1]>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye,
			queued: []string{`Fjoe@ip.example Tjim@example.com "x\n"`},
		},
	})
}

func TestBadMailFrom(t *testing.T) {
	t.Parallel()
	files := map[string]string{"badmailfrom": "bad@example.net\n@evil.example\n", "tcp.smtp": "127.:allow,RELAYCLIENT=\"\"\n"}
	try := func(sender, reply string) string {
		return hello + "C: MAIL FROM:<" + sender + ">\nS: 250 2.1.0 ok\nC: RCPT TO:<jim@example.com>\nS: " + reply + bye
	}
	refused := "553 5.7.1 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"
	runDialogues(t, []dialogue{
		{name: "whole address", files: files, script: try("bad@example.net", refused)},
		{name: "other case", files: files, script: try("BAD@example.NET", refused)},
		{name: "domain", files: files, script: try("anybody@evil.example", refused)},
		{name: "no wildcard", files: files, script: try("anybody@sub.evil.example", "250 2.1.5 ok")},
		{name: "other user", files: files, script: try("good@example.net", "250 2.1.5 ok")},
		{name: "null sender", files: files, script: try("", "250 2.1.5 ok")},
		{name: "the next sender is another", files: files, script: hello + "C: MAIL FROM:<bad@example.net>\nS: 250 *\nC: RCPT TO:<x@example.com>\nS: 553 *\nC: MAIL FROM:<good@example.net>\nS: 250 *\nC: RCPT TO:<x@example.com>\nS: 250 *" + bye},
	})
}

func TestRules(t *testing.T) {
	t.Parallel()
	runDialogues(t, []dialogue{
		{name: "denied", files: map[string]string{"tcp.smtp": "127.0.0.1:deny\n"}, script: "S: 554 5.7.1 sorry, no mail from your address (#5.7.1)\nS: <end>"},
		{name: "RBLSMTPD, temporary", files: map[string]string{"tcp.smtp": "127.:allow,RBLSMTPD=\"listed somewhere\"\n"}, script: tries("jim@example.com", "451 4.7.1 listed somewhere")},
		{name: "RBLSMTPD, permanent", files: map[string]string{"tcp.smtp": "127.:allow,RBLSMTPD=\"-listed\"\n"}, script: tries("jim@example.com", "553 5.7.1 listed")},
		{name: "RBLSMTPD, empty", files: map[string]string{"tcp.smtp": "127.:allow,RBLSMTPD=\"\"\n"}, script: tries("jim@example.com", "250")},
		{
			name: "QMAILQUEUE is not passed by", files: map[string]string{"tcp.smtp": "127.:allow,QMAILQUEUE=\"bin/scan\"\n"},
			script: transaction + "C: DATA\nS: 451 4.3.5 the mail filter for your address is not available (#4.3.5)" + bye,
		},
	})
	t.Run("TCPREMOTEINFO, TCPREMOTEHOST and TCPLOCALHOST of a rule", func(t *testing.T) {
		t.Parallel()
		h := startHost(t, map[string]string{"tcp.smtp": "127.:allow,TCPREMOTEINFO=\"joe\",TCPREMOTEHOST=\"h.example\",TCPLOCALHOST=\"l.example\"\n"})
		h.dial().play(transaction + "C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye)
		want := "Received: from h.example (HELO client.example.net) (joe@127.0.0.1)\n  by l.example with SMTP; "
		if m := h.spool.messages(); len(m) != 1 || !strings.HasPrefix(m[0].text, want) {
			t.Errorf("queued %q", m)
		}
	})
}

func TestDamagedMoreRcptHosts(t *testing.T) {
	t.Parallel()
	runDialogues(t, []dialogue{{
		name: "temporary, not refused", files: map[string]string{"morercpthosts.cdb": "damaged"},
		script: tries("jim@example.net", "451 4.3.0"),
	}})
}
