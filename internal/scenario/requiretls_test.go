package scenario

import (
	"testing"

	"postrider/internal/testhost"
)

// promise sends a message with REQUIRETLS.
const promise = `import smtplib, ssl, sys
s = smtplib.SMTP(sys.argv[1], 25)
s.starttls(context=ssl._create_unverified_context())
s.ehlo()
assert s.has_extn("requiretls")
s.sendmail("alice@mx1.example", [sys.argv[2]], sys.stdin.read(), ["REQUIRETLS"])
s.quit()
`

// TestRequireTLS follows a message with REQUIRETLS (RFC 8689) over two hosts: it
// goes where that is kept to, stays with what a .qmail file forwards, and with
// the bounces of that, and goes no further than it may.
func TestRequireTLS(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	far := takesMail(t, net, "far.example")
	plain := takesMail(t, net, "plain.example")
	web := newPolicyServer(t, net, "far.example")
	h := mailHost(t, net, "mx1.example", "alice")
	h.WriteFile(trustedFile, far.GiveKey()+web.cert, 0o644)
	h.GiveKey()
	h.Control("mtasts", "1")
	h.Control("tcp.smtp", `:allow,RELAYCLIENT=""`)
	web.publish("far.example", "1", "enforce", "far.example", "604800")
	own(far, "bob", ".qmail-on", "&bob@plain.example\n")
	far.StartSuite()
	plain.StartSuite()
	h.StartSuite()
	send := func(to string) (first int) {
		first = h.Log().Len()
		h.MustRun(testhost.Command{Argv: []string{"/usr/bin/python3", "-c", promise, h.IP.String(), to}, Stdin: letter("bob", "promised")})
		return first
	}
	first := send("bob@far.example")
	h.WaitForLog(first, `^delivery \d+: success: .*_verify=mta-sts;/$`)
	far.Maildir("bob").Wait(testhost.Within(t, soon), 1)
	first = send("bob@plain.example")
	h.WaitForLog(first, `^delivery \d+: failure: Neither_signed_DNS_records_.*_REQUIRETLS_asks\._\(#5\.7\.30\)/$`)

	// Over SMTP, in far's queue, and out of bob's .qmail file it is the same.
	there := far.Log().Len()
	first = send("bob-on@far.example")
	h.WaitForLog(first, `^delivery \d+: success: .*_verify=mta-sts;/$`)
	number := far.WaitForLog(there, `^starting delivery (\d+): msg \d+ to remote bob@plain\.example$`)[1]
	far.WaitForLog(there, `^delivery `+number+`: failure: Neither_signed_DNS_records_`)
	number = far.WaitForLog(there, `^starting delivery (\d+): msg \d+ to remote alice@mx1\.example$`)[1]
	far.WaitForLog(there, `^delivery `+number+`: failure: Neither_signed_DNS_records_`)
	if n := plain.Maildir("bob").Count(); n != 0 {
		t.Errorf("%d messages went in plain text", n)
	}
	// A message like others does go there.
	expectDelivery(t, h, "plain.example", "success: ")
	h.StopSuite()
	plain.StopSuite()
	far.StopSuite()
}
