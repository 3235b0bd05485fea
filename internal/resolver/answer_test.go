package resolver

import (
	"errors"
	"testing"

	"github.com/miekg/dns"
)

func FuzzParse(f *testing.F) {
	q := question{name: "d.", qtype: dns.TypeMX}
	seed := func(change func(m *dns.Msg), records ...string) {
		m := new(dns.Msg).SetQuestion(q.name, q.qtype)
		m.Id, m.Response = 7, true
		for _, s := range records {
			rr, err := dns.NewRR(s)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		change(m)
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	none := func(*dns.Msg) {}
	seed(none)
	seed(none, "d. 60 IN MX 10 a.d.", "a.d. 60 IN A 192.0.2.1")
	seed(none, "d. 60 IN CNAME e.", "e. 60 IN MX 0 .")
	seed(func(m *dns.Msg) { m.Rcode = dns.RcodeNameError })
	seed(func(m *dns.Msg) { m.Truncated = true })
	seed(func(m *dns.Msg) { m.Compress = true; m.SetEdns0(1232, false) }, "d. 60 IN MX 10 a.d.", "d. 60 IN MX 10 b.d.")
	f.Fuzz(func(t *testing.T, msg []byte) {
		a, err := parse(msg, 7, q)
		if err != nil || a.truncated {
			return
		}
		states := 0
		for _, is := range []bool{len(a.found.mx) > 0, a.next != "", a.err != nil} {
			if is {
				states++
			}
		}
		if states != 1 || len(a.found.mx) > maxKept || len(a.found.addrs) > 0 {
			t.Fatalf("%+v", a)
		}
		if a.err != nil && !errors.Is(a.err, ErrNoName) && !errors.Is(a.err, ErrNoRecord) {
			t.Fatal(a.err)
		}
		if a.next != "" {
			if _, ok := normal(a.next); !ok {
				t.Fatalf("next %q", a.next)
			}
		}
	})
}
