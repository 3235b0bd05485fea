package tlsrpt

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"postrider/internal/address"
	"postrider/internal/maildate"
	"postrider/internal/tlsrpt"
)

// message is a report that is to be queued.
type message struct {
	text     []byte // lines end with LF
	from, to address.Address
	nonce    [16]byte
}

// dayReport is the report of a day about a domain, whatever way it goes.
type dayReport struct {
	day    closed
	from   reporter
	domain string
	id     string
	packed []byte // JSON in gzip
}

func newDayReport(d closed, from reporter, domain string, results []tlsrpt.Result) (r dayReport, err error) {
	r = dayReport{day: d, from: from, domain: domain, id: d.begin.Format("20060102") + "." + domain + "@" + from.me}
	r.packed, err = pack(tlsrpt.Report{
		Organisation: from.Organisation, Contact: from.Contact.String(), ID: r.id, Results: results,
		Range: tlsrpt.Range{Start: d.begin, End: r.last()},
	})
	return r, err
}

// last is the last second of the day.
func (r dayReport) last() time.Time { return r.day.end().Add(-time.Second) }

// base64Line is how many characters a line of base64 has.
const base64Line = 76

// compose makes the message (RFC 8460 section 5.3). It goes where it can go,
// whatever is wrong with the domain's TLS: that is what it tells (section 3).
func (r dayReport) compose(to address.Address, now time.Time) message {
	from, domain, begin := r.from, r.domain, r.day.begin
	name := fmt.Sprintf("%s!%s!%d!%d.json.gz", from.me, domain, begin.Unix(), r.last().Unix())
	// What is in no message by chance: a line of base64 has no "=_", and the
	// words are ours.
	const boundary = "=_tlsrpt_report"
	var b bytes.Buffer
	fmt.Fprintf(&b, "Date: %s\nFrom: %s\nTo: %s\n", maildate.Header(now), from.Contact.Quoted(), to.Quoted())
	fmt.Fprintf(&b, "Message-ID: <%d.tlsrpt.%s@%s>\n", begin.Unix(), domain, from.me)
	fmt.Fprintf(&b, "Subject: Report Domain: %s\n Submitter: %s\n Report-ID: <%s>\n", domain, from.me, r.id)
	fmt.Fprintf(&b, "TLS-Report-Domain: %s\nTLS-Report-Submitter: %s\nTLS-Required: No\nAuto-Submitted: auto-generated\n", domain, from.me)
	fmt.Fprintf(&b, "MIME-Version: 1.0\nContent-Type: multipart/report; report-type=\"tlsrpt\";\n\tboundary=\"%s\"\n\n", boundary)
	fmt.Fprintf(&b, "--%s\nContent-Type: text/plain; charset=us-ascii\n\n"+
		"This is a report of %s about the TLS of mail to\n%s on %s (UTC), for programs: RFC 8460.\n\n",
		boundary, from.me, domain, dayOf(begin))
	fmt.Fprintf(&b, "--%s\nContent-Type: application/tlsrpt+gzip\nContent-Transfer-Encoding: base64\n"+
		"Content-Disposition: attachment;\n\tfilename=\"%s\"\n\n", boundary, name)
	for text := base64.StdEncoding.EncodeToString(r.packed); text != ""; {
		n := min(len(text), base64Line)
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	fmt.Fprintf(&b, "\n--%s--\n", boundary)
	return message{text: b.Bytes(), from: from.Contact, to: to}
}

// pack is the report as JSON in gzip.
func pack(r tlsrpt.Report) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(r); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}
