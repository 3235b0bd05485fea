package policy

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
)

var (
	ip4 = netip.MustParseAddr("192.0.2.1")
	ip6 = netip.MustParseAddr("2001:db8::1")
)

// fixed answers the same to all.
type fixed struct {
	listings []Listing
	state    NameState
	name     string
	result   Result
	wait     time.Duration
	err      error

	asked chan question
}

func (f fixed) Lists(client netip.Addr, zones []string) ([]Listing, error) {
	f.asked <- question{kind: kindLists, client: client, zones: zones}
	return f.listings, f.err
}

func (f fixed) Name(client netip.Addr) (NameState, string, error) {
	f.asked <- question{kind: kindName, client: client}
	return f.state, f.name, f.err
}

func (f fixed) Sender(client netip.Addr, helo, sender string) (Result, error) {
	f.asked <- question{kind: kindSender, client: client, helo: helo, sender: sender}
	return f.result, f.err
}

func (f fixed) Grey(t Triplet, delay time.Duration) (time.Duration, error) {
	f.asked <- question{kind: kindGrey, client: t.Client, sender: t.Sender, recipient: t.Recipient, delay: delay}
	return f.wait, f.err
}

// linked is a client whose questions p answers.
func linked(t testing.TB, p Policy) Client {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	c := call.NewClient("qmail-policy")
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	go call.Serve(theirs, 8, func(q []byte) []byte { return Reply(q, p) })
	return Client{c, time.Minute}
}

// ask puts a question by its fields.
func (c Client) put(q question) (answer any, err error) {
	switch q.kind {
	case kindLists:
		return c.Lists(q.client, q.zones)
	case kindName:
		state, name, err := c.Name(q.client)
		return []any{state, name}, err
	case kindSender:
		return c.Sender(q.client, q.helo, q.sender)
	}
	return c.Grey(Triplet{q.client, q.sender, q.recipient}, q.delay)
}

func TestQuestionsArrive(t *testing.T) {
	t.Parallel()
	listings := []Listing{
		{},
		{Listed, []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.4")}, "because"},
		{Standing: NoAnswer},
	}
	many := strings.Split(strings.Repeat("x", MaxZones), "")
	for _, c := range []struct {
		question question
		answers  fixed
		want     any
	}{
		{question{kind: kindLists, client: ip4, zones: []string{"a.example", "b.example", "c.example"}}, fixed{listings: listings}, listings},
		{question{kind: kindName, client: ip6}, fixed{state: Confirmed, name: "h.example"}, []any{Confirmed, "h.example"}},
		{question{kind: kindName, client: ip4}, fixed{state: NoName}, []any{NoName, ""}},
		{question{kind: kindName, client: ip4}, fixed{state: NameUnsure}, []any{NameUnsure, ""}},
		{question{kind: kindName, client: ip4}, fixed{state: Unconfirmed, name: "~ ."}, []any{Unconfirmed, "~ ."}},
		{question{kind: kindSender, client: ip4, helo: "h", sender: "joe@a.example"}, fixed{result: SoftFail}, SoftFail},
		{question{kind: kindSender, client: ip4}, fixed{result: None}, None},
		{question{kind: kindSender, client: ip4, helo: strings.Repeat("x", MaxHelo)}, fixed{result: PermError}, PermError},
		{question{kind: kindGrey, client: ip6, sender: "a@b", recipient: "c@d", delay: 300 * time.Second}, fixed{wait: 299*time.Second + 1}, 300 * time.Second},
		{question{kind: kindGrey, client: ip6}, fixed{wait: -1}, time.Duration(0)},
		{question{kind: kindGrey, client: ip6}, fixed{wait: 300 * time.Second}, 300 * time.Second},
		{question{kind: kindGrey, client: ip6, delay: MaxDelay * time.Second}, fixed{wait: (MaxDelay + 1) * time.Second}, MaxDelay * time.Second},
		{question{kind: kindLists, client: ip4, zones: many}, fixed{listings: make([]Listing, MaxZones)}, make([]Listing, MaxZones)},
	} {
		c.answers.asked = make(chan question, 2)
		got, err := linked(t, c.answers).put(c.question)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%c: %v, %v, want %v", c.question.kind, got, err, c.want)
		}
		if asked := <-c.answers.asked; !reflect.DeepEqual(asked, c.question) {
			t.Errorf("%c: arrived as %v, want %v", c.question.kind, asked, c.question)
		}
		c.answers.err = errors.New("trouble")
		if got, err := linked(t, c.answers).put(c.question); !errors.Is(err, errUnsure) {
			t.Errorf("%c in trouble: %v, %v", c.question.kind, got, err)
		}
	}
}

func TestWhatIsNotAsked(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]question{
		"no address":      {kind: kindName},
		"too many zones":  {kind: kindLists, client: ip4, zones: make([]string, MaxZones+1)},
		"a long HELO":     {kind: kindSender, client: ip4, helo: strings.Repeat("x", MaxHelo+1)},
		"a long delay":    {kind: kindGrey, client: ip4, delay: (MaxDelay + 1) * time.Second},
		"half a second":   {kind: kindGrey, client: ip4, delay: time.Second / 2},
		"negative delays": {kind: kindGrey, client: ip4, delay: -time.Second},
	} {
		if b, err := q.append(nil); err == nil {
			t.Errorf("%s: %q", name, b)
		}
	}
}

// The text of a list is a stranger's, and so is its number of answers.
func TestListingsAreCut(t *testing.T) {
	t.Parallel()
	l := Listing{Listed, make([]netip.Addr, MaxCodes+5), "a\r\n\xff\x7f ~" + strings.Repeat("x", MaxText)}
	for i := range l.Codes {
		l.Codes[i] = netip.AddrFrom4([4]byte{127, 0, 0, byte(i)})
	}
	got, err := parseListings(appendListings(nil, []Listing{l}), 1)
	if err != nil || len(got[0].Codes) != MaxCodes || got[0].Text != "a???? ~"+strings.Repeat("x", MaxText-7) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestBrokenQuestions(t *testing.T) {
	t.Parallel()
	for _, q := range []string{"", "N", "N\x00", "X\x04\x7f\x00\x00\x01", "N\x05\x7f\x00\x00\x01\x00", "N\x04\x7f\x00\x00\x01x", "L\x04\x7f\x00\x00\x01\x00\x00",
		"L\x04\x7f\x00\x00\x01\x00\x01\x00\x00\x00\x00", "L\x04\x7f\x00\x00\x01\x00\x21" + strings.Repeat("\x00\x00\x00\x01x", MaxZones+1),
		"G\x04\x7f\x00\x00\x01\x00\x01\x51\x81\x00\x00\x00\x00\x00\x00\x00\x00", "N\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01"} {
		asked := make(chan question, 1)
		if got := Reply([]byte(q), fixed{asked: asked}); !bytes.Equal(got, []byte{kindUnknown}) || len(asked) != 0 {
			t.Errorf("%q: %q", q, got)
		}
	}
}

func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	for _, b := range []string{"", "E", "X", "L", "L\x03\x00\x00\x00\x00\x00", "L\x00\x11", "N", "N\x04\x00\x00\x00\x00", "N\x02\x00\x00\x00\x00",
		"N\x00\x00\x00\x00\x01x", "N\x02\x00\x00\x00\x01\n", "S", "S\x07", "S\x01x", "G\x00\x00\x00", "G\xff\xff\xff\xff",
		"G\x00\x01\x51\x81", "N\x01\x00\x00\x00\x00", "N\x02\x00\x00\x00\x01\x7f", "L\x01\x11" + strings.Repeat("\x7f\x00\x00\x02", MaxCodes+1) + "\x00\x00\x00\x00",
		// Of another kind, and otherwise well formed.
		"X\x01", "X\x00\x00\x00\x00", "X\x00\x00\x00\x00\x00", "X\x00\x00\x00\x00\x00\x00"} {
		for what, parse := range map[string]func([]byte) error{
			"L": func(b []byte) error { _, err := parseListings(b, 1); return err },
			"N": func(b []byte) error { _, _, err := parseName(b); return err },
			"S": func(b []byte) error { _, err := parseResult(b); return err },
			"G": func(b []byte) error { _, err := parseWait(b); return err },
		} {
			if parse([]byte(b)) == nil {
				t.Errorf("%q is an answer to %s", b, what)
			}
		}
	}
}

func FuzzQuestion(f *testing.F) {
	for _, q := range []question{
		{kind: kindLists, client: ip4, zones: []string{"a.example", "b.example"}},
		{kind: kindName, client: ip6},
		{kind: kindSender, client: ip4, helo: "h", sender: "joe@a.example"},
		{kind: kindGrey, client: ip6, sender: "a@b", recipient: "c@d", delay: 300 * time.Second},
	} {
		b, err := q.append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := parseQuestion(b)
		if err != nil {
			return
		}
		if again, err := q.append(nil); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q becomes %q, %v", b, again, err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(appendListings(nil, []Listing{{Listed, []netip.Addr{ip4}, "text"}}))
	f.Add(appendName(nil, Confirmed, "h.example"))
	f.Add([]byte("S\x01"))
	f.Add(appendWait(nil, time.Minute))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := parseListings(b, 1); err == nil && !bytes.Equal(appendListings(nil, l), b) {
			t.Errorf("%q is %v", b, l)
		}
		if state, name, err := parseName(b); err == nil && !bytes.Equal(appendName(nil, state, name), b) {
			t.Errorf("%q is %v %q", b, state, name)
		}
		if wait, err := parseWait(b); err == nil && !bytes.Equal(appendWait(nil, wait), b) {
			t.Errorf("%q is %v", b, wait)
		}
	})
}

// What cannot be asked, or is not answered, is never a verdict.
func TestNoVerdict(t *testing.T) {
	t.Parallel()
	unlinked := Client{call.NewClient("qmail-policy"), time.Minute}
	for _, kind := range []byte{kindLists, kindName, kindSender, kindGrey} {
		if got, err := unlinked.put(question{kind: kind, client: ip4, zones: []string{"a.example"}}); !errors.Is(err, call.ErrNoLink) {
			t.Errorf("%c without a link: %v, %v", kind, got, err)
		}
		if got, err := unlinked.put(question{kind: kind, zones: []string{"a.example"}}); err != errForm {
			t.Errorf("%c without an address: %v, %v", kind, got, err)
		}
	}
	if r, err := unlinked.Sender(ip4, "h", "s"); r != TempError || err == nil {
		t.Errorf("%v, %v", r, err)
	}
	if state, _, err := unlinked.Name(ip4); state != NameUnsure || err == nil {
		t.Errorf("%v, %v", state, err)
	}
}

func TestResultWords(t *testing.T) {
	t.Parallel()
	for r, want := range map[Result]string{None: "none", Neutral: "neutral", Pass: "pass", Fail: "fail", SoftFail: "softfail", TempError: "temperror", PermError: "permerror"} {
		if got := r.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An IPv4 address is asked for in one form, and none with the name of an
// interface of ours.
func TestAddressHasOneForm(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"::ffff:192.0.2.1": "192.0.2.1", "fe80::1%eth0": "fe80::1"} {
		b, err := question{kind: kindName, client: netip.MustParseAddr(s)}.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := parseQuestion(b); q.client != netip.MustParseAddr(want) || err != nil {
			t.Errorf("%s arrives as %v, %v", s, q.client, err)
		}
	}
}
