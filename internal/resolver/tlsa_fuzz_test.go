package resolver

import (
	"testing"

	"github.com/miekg/dns"
)

// FuzzParseTLSA lets a server say anything to a question for TLSA records.
func FuzzParseTLSA(f *testing.F) {
	q := question{name: "_25._tcp.d.", qtype: dns.TypeTLSA, authentic: true}
	seed := func(authentic bool, records ...string) {
		m := new(dns.Msg).SetQuestion(q.name, q.qtype)
		m.Id, m.Response, m.AuthenticatedData = 7, true, authentic
		for _, s := range records {
			rr, err := dns.NewRR(s)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	seed(true, "_25._tcp.d. 60 IN TLSA 3 1 1 00ff", "_25._tcp.d. 60 IN TLSA 2 0 1 ff")
	seed(true, "_25._tcp.d. 60 IN CNAME e.", "e. 60 IN TLSA 3 1 1 00")
	seed(false, "_25._tcp.d. 60 IN CNAME e.")
	seed(true)
	f.Fuzz(func(t *testing.T, msg []byte) {
		a, err := parse(msg, 7, q)
		if err != nil || a.truncated {
			return
		}
		if len(a.found.tlsa) > maxKept || len(a.found.tlsa) > 0 && a.err != nil {
			t.Fatalf("%+v", a)
		}
		if a.found.authentic != (msg[3]&flagAuthentic != 0) {
			t.Fatal("authentic, though the server did not say so")
		}
	})
}
