package tlsrpt

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/control"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "off",
		"# nothing\n":                      "off",
		"tls@example.org\n":                "tls@example.org example.org",
		"tls@example.org\nExample, Inc.\n": "tls@example.org Example, Inc.",
		"tls\n":                            "!",
		"tls@\n":                           "!",
		"@example.org\n":                   "!",
		"a b@example.org\n":                "!",
		"tls@exämple.org\n":                "!",
		"tls@example.org\nB\xc3\xbccher\n": "!",
		"tls@example.org\nA\nB\n":          "!",
		"tls@example.org\n" + strings.Repeat("x", 201): "!",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/tlsrpt", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, on, err := Read(control.Dir(dir))
		got := "off"
		switch {
		case err != nil:
			got = "!"
		case on:
			got = s.Contact.String() + " " + s.Organisation
		}
		if got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	if _, on, err := Read(control.Dir(t.TempDir())); on || err != nil {
		t.Errorf("without a file: %v, %v", on, err)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	const v = "v=TLSRPTv1; rua="
	for text, want := range map[string]string{
		v + "mailto:a@b.example":                                       "a@b.example",
		"v=TLSRPTv1;rua=mailto:a@b.example,mailto:c@d.example;":        "a@b.example c@d.example",
		"v=TLSRPTv1 ; rua=MAILTO:a@b.example?subject=x":                "a@b.example",
		v + "mailto:a%2Bb@b.example":                                   "a+b@b.example",
		"v=TLSRPTv1; x=y; rua=https://b.example/,mailto:a@b.example":   "a@b.example https://b.example/",
		v + "https://b.example/":                                       "https://b.example/",
		v + "https://b.example":                                        "https://b.example",
		v + "https://b.example:443/x/y?z=%2C":                          "https://b.example:443/x/y?z=%2C",
		v + "https://b.example:8443/":                                  "others",
		v + "https://192.0.2.1/":                                       "others",
		v + "https://[2001:db8::1]/":                                   "others",
		v + "https://localhost/":                                       "others",
		v + "https://a:b@c.example/":                                   "others",
		v + "https://b.example/#x":                                     "others",
		v + "https:b.example":                                          "others",
		v + "https://b\xc3\xbc.example/":                               "others",
		v + "http://b.example/":                                        "others",
		v + "https://b.example/" + strings.Repeat("x", MaxURL):         "others",
		v + "mailto:a@b.example,mailto:b@b.example,mailto:c@b.example": "a@b.example b@b.example others",
		v + "https://a.example/,https://b.example/,mailto:c@b.example": "https://a.example/ https://b.example/ others",
		v + "mailto:":                                        "others",
		v + "mailto:a":                                       "others",
		v + "mailto:a%0Ab@b.example":                         "others",
		v + "mailto:a%@b.example":                            "others",
		v + "mailto:a@[192.0.2.1]":                           "others",
		"v=TLSRPTv1":                                         "",
		"v=TLSRPTv2; rua=mailto:a@b.example":                 "",
		"rua=mailto:a@b.example; v=TLSRPTv1":                 "",
		v + "mailto:a@b.example|" + v + "mailto:a@b.example": "",
		"v=spf1 -all|" + v + "mailto:a@b.example":            "a@b.example",
	} {
		d := ParseRecord(strings.Split(text, "|"))
		var got []string
		for _, a := range d.Mail {
			got = append(got, a.String())
		}
		got = append(got, d.Web...)
		if d.Others {
			got = append(got, "others")
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestReport has the words of RFC 8460 section 4.4.
func TestReport(t *testing.T) {
	t.Parallel()
	day := time.Date(2016, 4, 1, 0, 0, 0, 0, time.UTC)
	r := Report{
		Organisation: "Company-X", Contact: "sts-reporting@company-x.example", ID: "5065427c", Range: Range{day, day.Add(24*time.Hour - time.Second)},
		Results: []Result{{
			Policy:   Policy{Type: STS, Strings: []string{"version: STSv1"}, Domain: "company-y.example", MXHosts: []string{"*.mail.company-y.example"}},
			Summary:  Summary{5326, 303},
			Failures: []Failure{{Result: Expired, SendingIP: "2001:db8:abcd:12::1", MXHost: "mx1.mail.company-y.example", Sessions: 100}},
		}},
	}
	want := `{"organization-name":"Company-X","date-range":{"start-datetime":"2016-04-01T00:00:00Z","end-datetime":"2016-04-01T23:59:59Z"},` +
		`"contact-info":"sts-reporting@company-x.example","report-id":"5065427c","policies":[{"policy":{"policy-type":"sts",` +
		`"policy-string":["version: STSv1"],"policy-domain":"company-y.example","mx-host":["*.mail.company-y.example"]},` +
		`"summary":{"total-successful-session-count":5326,"total-failure-session-count":303},"failure-details":[{"result-type":"certificate-expired",` +
		`"sending-mta-ip":"2001:db8:abcd:12::1","receiving-mx-hostname":"mx1.mail.company-y.example","failed-session-count":100}]}]}`
	if got, err := json.Marshal(r); err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("v=TLSRPTv1; rua=mailto:a%2Bb@b.example,https://b.example/")
	f.Fuzz(func(t *testing.T, text string) {
		d := ParseRecord([]string{text})
		if n := len(d.Mail) + len(d.Web); n > MaxDestinations {
			t.Fatalf("%d places", n)
		}
		for _, a := range d.Mail {
			if !isMailbox(a) {
				t.Fatalf("%q", a)
			}
		}
		for _, u := range d.Web {
			if !IsURL(u) {
				t.Fatalf("%q", u)
			}
		}
	})
}
