package scenario

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// parseTLSReport takes a report apart as a strict domain's program does: it checks
// the message and its signature, whose key is for reports alone (RFC 8460 section
// 3), and prints what the test compares.
const parseTLSReport = `import dkim, email, email.policy, gzip, json, sys
raw = sys.stdin.buffer.read()
assert dkim.verify(raw.replace(b"\n", b"\r\n"), minkey=2048, tlsrpt="strict"), "signature"
assert b"l=" not in raw.split(b"DKIM-Signature:")[1].split(b"b=")[0].replace(b"rel=", b"")
m = email.message_from_bytes(raw, policy=email.policy.default)
assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "tlsrpt", m["Content-Type"]
text, report = m.iter_parts()
assert report.get_content_type() == "application/tlsrpt+gzip"
r = json.loads(gzip.decompress(report.get_content()))
assert m["TLS-Report-Domain"] in m["Subject"] and r["report-id"] in m["Subject"]
assert m["TLS-Report-Submitter"] == "mx1.example" and report.get_filename().startswith("mx1.example!" + m["TLS-Report-Domain"] + "!")
json.dump({"domain": m["TLS-Report-Domain"], "from": m["From"], "organisation": r["organization-name"], "contact": r["contact-info"],
  "start": r["date-range"]["start-datetime"], "end": r["date-range"]["end-datetime"],
  "policies": [[p["policy"]["policy-type"], p["policy"]["policy-domain"], p["policy"].get("policy-string"), p["policy"].get("mx-host"),
    p["summary"]["total-successful-session-count"], p["summary"]["total-failure-session-count"],
    [[f["result-type"], f["sending-mta-ip"], f["receiving-mx-hostname"], f["receiving-ip"], f["failed-session-count"]] for f in p.get("failure-details", [])]]
    for p in r["policies"]]}, sys.stdout)
`

// TestTLSReports has sessions that keep to a policy and that do not, and reads
// the signed reports of them that two domains get, and a third one does not. One of
// them has its report on its web server, too.
func TestTLSReports(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	zone := net.Zone()
	domains := []string{"good.example", "badcert.example", "plain.example", "silent.example"}
	far := takesMail(t, net, "far.example", domains...)
	plain := takesMail(t, net, "plain.example")
	web := newPolicyServer(t, net, domains...)
	h := mailHost(t, net, "mx1.example", "alice")
	h.WriteFile(trustedFile, far.GiveKey()+web.cert, 0o644)
	h.Control("mtasts", "1")
	h.Control("tlsrpt", "tls@reports.mx1.example", "Example Org")
	key := h.Must("/var/qmail/bin/qmail-dkimkey", "-r", "reports.mx1.example", "t1")
	zone.Add(regexp.MustCompile(`(?m)^t1\._domainkey.*$`).FindString(key))
	h.Control("dkimsign", "reports.mx1.example t1 reports.mx1.example/t1")
	zone.MX("good.example", 10, "far.example")
	zone.MX("silent.example", 10, "far.example")
	zone.Address("mx.badcert.example", far.IP)
	zone.MX("badcert.example", 10, "mx.badcert.example")
	web.publish("good.example", "1", "enforce", "*.example", "604800")
	web.publish("badcert.example", "1", "enforce", "*.badcert.example", "604800")
	zone.Add(
		`_smtp._tls.good.example. 1 TXT "v=TLSRPTv1; rua=mailto:bob@far.example"`,
		`_smtp._tls.badcert.example. 1 TXT "v=TLSRPTv1;rua=https://mta-sts.badcert.example/tls,mailto:bob@far.example;"`,
		`_smtp._tls.plain.example. 1 TXT "v=TLSRPTv1; rua=mailto:bob@plain.example"`,
	)
	far.StartSuite()
	plain.StartSuite()
	h.StartSuite()
	expectDelivery(t, h, "good.example", "_verify=mta-sts;/")
	expectDelivery(t, h, "badcert.example", "_but_its_certificate_is_not_what_MTA-STS_asks_for:_")
	expectDelivery(t, h, "plain.example", "success: ")
	expectDelivery(t, h, "silent.example", "_verify=none;/")
	h.StopSuite()
	day := pretendTwoDaysAgo(t, h)
	h.StartSuite()
	got := readReports(t, h, slices.Concat(far.Maildir("bob").Wait(testhost.Within(t, soon), 2+2), plain.Maildir("bob").Wait(testhost.Within(t, soon), 1+1)))
	if len(got) != 3 {
		t.Fatalf("%d reports", len(got))
	}
	from, to := h.IP.String(), far.IP.String()
	for domain, want := range map[string]string{
		"good.example": `[["sts","good.example",["version: STSv1","mode: enforce","mx: *.example"],["*.example"],1,0,[]]]`,
		"badcert.example": `[["sts","badcert.example",["version: STSv1","mode: enforce","mx: *.badcert.example"],["*.badcert.example"],0,1,` +
			`[["certificate-host-mismatch","` + from + `","mx.badcert.example","` + to + `",1]]]]`,
		"plain.example": `[["no-policy-found","plain.example",null,null,0,1,[["starttls-not-supported","` + from + `","plain.example","` + plain.IP.String() + `",1]]]]`,
	} {
		r := got[domain]
		text, err := json.Marshal(r["policies"])
		if err != nil || string(text) != want {
			t.Errorf("%s: %s\nwant %s", domain, text, want)
		}
		delete(r, "policies")
		if want := map[string]any{
			"domain": domain, "from": "tls@reports.mx1.example", "organisation": "Example Org", "contact": "tls@reports.mx1.example",
			"start": day + "T00:00:00Z", "end": day + "T23:59:59Z",
		}; !reflect.DeepEqual(r, want) {
			t.Errorf("%v\nwant %v", r, want)
		}
	}
	h.WaitForLog(0, `^qmail-tlsrpt: report domain=good\.example day=`+day+` to=bob@far\.example qp=\d+$`)
	h.WaitForLog(0, `^qmail-tlsrpt: report domain=badcert\.example day=`+day+` to=https://mta-sts\.badcert\.example/tls posted$`)
	posted := readPosted(t, web, "mta-sts.badcert.example")
	if text, err := json.Marshal(posted["policies"]); err != nil || !strings.Contains(string(text), "certificate-host-mismatch") ||
		posted["contact-info"] != "tls@reports.mx1.example" || posted["organization-name"] != "Example Org" {
		t.Errorf("posted: %v, %v", posted, err)
	}
	// What was sent is forgotten.
	if _, err := h.WaitForFiles(testhost.Within(t, soon), "/var/qmail/tlsrpt", func(names []string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, day) })
	}); err != nil {
		t.Errorf("%v\n%s", err, h.Log().Timed(0))
	}
	h.StopSuite()
	plain.StopSuite()
	far.StopSuite()
}

// TestReportsOutliveTheirProcess kills qmail-tlspost while a web server takes its
// time for a report: the next one brings it, and says so once.
func TestReportsOutliveTheirProcess(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	far := takesMail(t, net, "far.example")
	web := newPolicyServer(t, net, "far.example")
	asked, killed, first := make(chan struct{}), make(chan struct{}), true
	web.onPost = func() { // one connection at a time
		if first {
			first = false
			close(asked)
			<-killed
		}
	}
	h := mailHost(t, net, "mx1.example", "alice")
	h.WriteFile(trustedFile, web.cert, 0o644)
	h.Control("tlsrpt", "tls@mx1.example")
	net.Zone().Add(`_smtp._tls.far.example. 1 TXT "v=TLSRPTv1; rua=https://mta-sts.far.example/tls"`)
	far.StartSuite()
	h.StartSuite()
	expectDelivery(t, h, "far.example", "success: ")
	h.StopSuite()
	day := pretendTwoDaysAgo(t, h)
	h.StartSuite()
	select {
	case <-asked:
	case <-testhost.Within(t, soon).Done():
		t.Fatalf("no report came\n%s", h.Log().Timed(0))
	}
	h.Kill("qmail-tlspost", syscall.SIGKILL)
	close(killed)
	h.WaitForLog(0, `^qmail-tlsrpt: report domain=far\.example day=`+day+` to=https://mta-sts\.far\.example/tls posted$`)
	if n := count(h, 0, " posted"); n != 1 {
		t.Errorf("posted %d times", n)
	}
	h.StopSuite()
	far.StopSuite()
}

// readPosted reads the one report that came to a web server.
func readPosted(t *testing.T, web *policyServer, name string) (report map[string]any) {
	t.Helper()
	web.mu.Lock()
	defer web.mu.Unlock()
	if len(web.posts) != 1 {
		t.Errorf("reports for %d web servers", len(web.posts))
	}
	z, err := gzip.NewReader(strings.NewReader(web.posts[name]))
	if err != nil {
		t.Fatal(err)
	}
	in := json.NewDecoder(z)
	if err := in.Decode(&report); err != nil {
		t.Fatal(err)
	}
	if in.More() {
		t.Error("it came more than once")
	}
	return report
}

// pretendTwoDaysAgo makes what was counted older than it is: its reports are due.
func pretendTwoDaysAgo(t *testing.T, h *testhost.Host) (day string) {
	t.Helper()
	const dir = "/var/qmail/tlsrpt/"
	names, err := os.ReadDir(h.Path(dir))
	if err != nil || len(names) != 1 { // at midnight two, and the test is not for that
		t.Fatalf("%v, %v", names, err)
	}
	counted, err := time.Parse(time.DateOnly, names[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	day = counted.AddDate(0, 0, -2).Format(time.DateOnly)
	if err := os.Rename(h.Path(dir+names[0].Name()), h.Path(dir+day)); err != nil {
		t.Fatal(err)
	}
	return day
}

// readReports has Python read those messages that are reports, by their domain.
func readReports(t *testing.T, h *testhost.Host, messages []testhost.Message) map[string]map[string]any {
	t.Helper()
	all := make(map[string]map[string]any)
	for _, m := range messages {
		if m.Header("TLS-Report-Domain") == "" {
			continue
		}
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/usr/bin/python3", "-c", parseTLSReport}, Stdin: m.Text})
		if err != nil || result.Code != 0 {
			t.Fatalf("%v %+v\n%s", err, result, m.Text)
		}
		r := make(map[string]any)
		if err := json.Unmarshal([]byte(result.Stdout), &r); err != nil {
			t.Fatal(err)
		}
		all[m.Header("TLS-Report-Domain")] = r
	}
	return all
}
