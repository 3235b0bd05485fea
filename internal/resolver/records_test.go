package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postrider/internal/clock"
	"postrider/internal/resolver"
	"postrider/internal/resolver/resolvertest"
)

func TestTXT(t *testing.T) {
	t.Parallel()
	s := resolvertest.Start(t, `d. 60 TXT "one" " two"`, `d. 60 TXT "a\"b\\c\009\200"`, `alias. 60 CNAME d.`, `empty. 60 TXT ""`, `a. 60 A 192.0.2.1`)
	for i := range 300 {
		s.Add(t, fmt.Sprintf("large. 60 TXT \"%d%s\"", i, strings.Repeat("x", 200)))
	}
	r := resolver.New(s.Config(), clock.Real())
	want := []string{"a\"b\\c\t\xc8", "one two"}
	for _, c := range []struct {
		name  string
		texts []string
		err   error
	}{
		{"d", want, nil}, {"alias", want, nil}, {"empty", []string{""}, nil}, {"a", nil, resolver.ErrNoRecord}, {"none", nil, resolver.ErrNoName},
	} {
		got, err := r.TXT(context.Background(), c.name)
		slices.Sort(got)
		if !slices.Equal(got, c.texts) || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	if got, err := r.TXT(context.Background(), "large"); err == nil || resolver.IsAnswer(err) {
		t.Errorf("%d texts, %v", len(got), err)
	}
}

func TestReverseNames(t *testing.T) {
	t.Parallel()
	s := resolvertest.Start(t, "1.2.0.192.in-addr.arpa. 60 PTR H.example.", `1.2.0.192.in-addr.arpa. 60 PTR a\.b\@c.example.`,
		"2.2.0.192.in-addr.arpa. 60 CNAME 2.0/25.2.0.192.in-addr.arpa.", "2.0/25.2.0.192.in-addr.arpa. 60 PTR g.example.",
		`3.2.0.192.in-addr.arpa. 60 PTR a\032b.`,
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60 PTR six.example.")
	r := resolver.New(s.Config(), clock.Real())
	for _, c := range []struct {
		addr, names string
		err         error
	}{
		{"192.0.2.1", "h.example", nil}, {"::ffff:192.0.2.1", "h.example", nil}, {"192.0.2.2", "g.example", nil},
		{"192.0.2.3", "", resolver.ErrNoRecord}, {"192.0.2.4", "", resolver.ErrNoName}, {"2001:db8::1", "six.example", nil},
	} {
		got, err := r.Names(context.Background(), netip.MustParseAddr(c.addr))
		if strings.Join(got, " ") != c.names || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", c.addr, got, err)
		}
	}
}

func TestIPv4(t *testing.T) {
	t.Parallel()
	s := resolvertest.Start(t, "d. 60 A 127.0.0.2", "d. 60 AAAA ::1", "six. 60 AAAA ::1")
	r := resolver.New(s.Config(), clock.Real())
	if got, err := r.IPv4(context.Background(), "d"); err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("127.0.0.2") {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := r.IPv4(context.Background(), "six"); !errors.Is(err, resolver.ErrNoRecord) {
		t.Errorf("%v, %v", got, err)
	}
	if n := s.Asked("d", "AAAA"); n != 0 {
		t.Errorf("asked for AAAA %d times", n)
	}
}
