package mtasts

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseRecord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		texts []string
		id    string // empty: no policy
	}{
		{[]string{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
		{[]string{"v=STSv1;id=1"}, "1"},
		{[]string{"v=STSv1 ; x=y;  id=abc ; z=1"}, "abc"},
		{[]string{"v=spf1 -all", "v=STSv1; id=2;"}, "2"},
		{nil, ""},
		{[]string{"v=STSv1; id=1;", "v=STSv1; id=2;"}, ""},
		{[]string{"v=STSv2; id=1;"}, ""},
		{[]string{"id=1; v=STSv1"}, ""},
		{[]string{"v=STSv1;"}, ""},
		{[]string{"v=STSv1; id=;"}, ""},
		{[]string{"v=STSv1; id=a-b;"}, ""},
		{[]string{"v=STSv1; id=" + strings.Repeat("1", maxID+1)}, ""},
		{[]string{"\x00v=STSv1; id=1"}, ""},
	} {
		id, found := ParseRecord(c.texts)
		if found != (c.id != "") || found && id != c.id {
			t.Errorf("%q: got %q, %v", c.texts, id, found)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const rest = "version: STSv1\nmax_age: 604800\nmode: enforce\n"
	for text, want := range map[string]Policy{
		"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n": {
			Enforce, []string{"mail.example.com", "*.example.net", "backupmx.example.com"}, 7 * 24 * time.Hour},
		"mx:a.example\n" + rest + "future: yes\nmode: none\n\n": {Enforce, []string{"a.example"}, 7 * 24 * time.Hour},
		"version: STSv1\nmode: testing\nmx: a\nmax_age: 0":      {Testing, []string{"a"}, 0},
		"version: STSv1\nmode: none\nmax_age: 9999999999":       {None, nil, maxAge * time.Second},
	} {
		if got, err := Parse(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", rest, "mx: a\nmode: enforce\nmax_age: 1\n", "mx: a\nversion: STSv1\nmax_age: 1\n", "mx: a\nversion: STSv1\nmode: enforce\n",
		rest + "mx: \n", rest + "mx: *\n", rest + "mx: a.*.b\n", rest + "mx: a b\n", rest + "mx: a\nword\n", rest + "mx: .a\n",
		"version: STSv2\nmode: none\nmax_age: 1", "version: STSv1\nmode: None\nmax_age: 1", "version: STSv1\nmode: none\nmax_age: -1",
		"version: STSv1\nmode: none\nmax_age: 1e9", "version: STSv1\nmode: none\nmax_age: 99999999999",
		rest + strings.Repeat("mx: a\n", MaxMX+1), rest + "mx: a\n" + strings.Repeat("#", MaxPolicy),
		"<html>\nmx: a\n" + rest,
	} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%.60q: got %+v", text, got)
		}
	}
}

func TestAllows(t *testing.T) {
	t.Parallel()
	p := Policy{MX: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.example.COM.": true, "mx.example.net": true, "example.net": false, "a.b.example.net": false,
		"example.com": false, "xmail.example.com": false, "": false, "com": false,
	} {
		if got := p.Allows(host); got != want {
			t.Errorf("%q: got %v", host, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("version: STSv1\nmode: enforce\nmx: *.example\nmax_age: 1\n")
	f.Add("version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if len(p.MX) > MaxMX || p.MaxAge < 0 || p.MaxAge > maxAge*time.Second || len(p.MX) == 0 && p.Mode != None {
			t.Fatalf("%+v", p)
		}
		for _, name := range p.MX {
			if kept, ok := Pattern(name); !ok || kept != name {
				t.Fatalf("pattern %q", name)
			}
			if p.Allows("") {
				t.Fatal("allows nobody")
			}
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=STSv1; id=20160831085700Z;")
	f.Fuzz(func(t *testing.T, text string) {
		if id, found := ParseRecord([]string{text}); found && (!isID(id) || !strings.Contains(text, "id="+id)) {
			t.Fatalf("id %q", id)
		}
	})
}
