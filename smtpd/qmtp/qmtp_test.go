package qmtp

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"postrider/internal/fate"
	"postrider/internal/netstring"
)

// vector is that of spec appendix A, item 11.
const vector = "4:\nhi\n,3:s@x,29:13:a@example.com,9:z@foo.org,,"

const vectorAnswers = "Kok TIME qp ID,66:Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1),"

const vectorQueued = `Fs@x Ta@example.com "hi\n"`

func TestVector(t *testing.T) {
	t.Parallel()
	o := converse(t, qmtpProtocol, nil, vector)
	if o.answers != vectorAnswers || o.err != nil || !slices.Equal(o.queued, []string{vectorQueued}) {
		t.Errorf("got %+v", o)
	}
}

// The same comes out wherever the input is split, and however many messages
// come in one piece.
func TestSplits(t *testing.T) {
	t.Parallel()
	stream := vector + "6:\rh\r\ni\r,0:,17:13:b@example.com,," + vector
	whole := converse(t, qmtpProtocol, nil, stream)
	want := []string{vectorQueued, `F Tb@example.com "h\ni\r"`, vectorQueued}
	if !slices.Equal(whole.queued, want) || whole.err != nil {
		t.Fatalf("in one piece: %+v", whole)
	}
	for i := range len(stream) + 1 {
		if o := converse(t, qmtpProtocol, nil, stream[:i], stream[i:]); o.answers != whole.answers || !slices.Equal(o.queued, want) || o.err != nil {
			t.Errorf("split at %d: %+v", i, o)
		}
	}
	if o := converse(t, qmtpProtocol, nil, strings.Split(stream, "")...); o.answers != whole.answers || !slices.Equal(o.queued, want) {
		t.Errorf("octet by octet: %+v", o)
	}
}

// Cut anywhere, a message is not queued, and those before it are.
func TestCut(t *testing.T) {
	t.Parallel()
	for i := range len(vector) {
		o := converse(t, qmtpProtocol, nil, vector+vector[:i])
		wantErr := errHungUp
		if i == 0 {
			wantErr = nil
		}
		if o.answers != vectorAnswers || len(o.queued) != 1 || o.err != wantErr {
			t.Errorf("cut at %d: %+v", i, o)
		}
	}
}

// What is not the protocol ends the session. Messages before it keep their
// answers, and nothing else is queued.
func TestNotTheProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		err        error
	}{
		{"an empty message", "0:,3:s@x,17:13:a@example.com,,", errProtocol},
		{"another first octet", "3: hi,3:s@x,17:13:a@example.com,,", errProtocol},
		{"a zero in front", "04:\nhi\n,3:s@x,17:13:a@example.com,,", errProtocol},
		{"a negative length", "-4:\nhi\n,3:s@x,17:13:a@example.com,,", errProtocol},
		{"no length", ":\nhi\n,3:s@x,17:13:a@example.com,,", errProtocol},
		{"a huge length", "2000000010:\nhi\n", netstring.ErrTooLong},
		{"a length beyond 64 bits", "18446744073709551620:\nhi\n", netstring.ErrTooLong},
		{"no comma behind the message", "4:\nhi\n;3:s@x,17:13:a@example.com,,", errProtocol},
		{"no comma behind the sender", "4:\nhi\n,3:s@x;17:13:a@example.com,,", errProtocol},
		{"no comma behind a recipient", "4:\nhi\n,3:s@x,17:13:a@example.com;,", errProtocol},
		{"no comma behind the recipients", "4:\nhi\n,3:s@x,17:13:a@example.com,;", errProtocol},
		{"a recipient that is longer than all", "4:\nhi\n,3:s@x,17:14:a@example.com,,", errProtocol},
		{"a recipient without room for its comma", "4:\nhi\n,3:s@x,16:13:a@example.com,,", errProtocol},
		{"recipients that are no netstrings", "4:\nhi\n,3:s@x,13:a@example.com,", errProtocol},
		{"recipients that end in a length", "4:\nhi\n,3:s@x,2:13,", errProtocol},
		{"a zero in front of a recipient", "4:\nhi\n,3:s@x,18:013:a@example.com,,", errProtocol},
		{"SMTP", "EHLO client.example\r\n", errProtocol},
		{"TLS", "\x16\x03\x01\x02\x00\x01", errProtocol},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", errProtocol},
	} {
		o := converse(t, qmtpProtocol, nil, vector+c.text)
		if o.answers != vectorAnswers || len(o.queued) != 1 || !errors.Is(o.err, c.err) {
			t.Errorf("%s: %+v", c.name, o)
		}
	}
}

// Line ends of both kinds.
func TestLineEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"\n", ""}, {"\r", ""},
		{"\na\nb\n", "a\nb\n"}, {"\na\r\nb", "a\r\nb"}, {"\n\x00\xff\n.\n", "\x00\xff\n.\n"},
		{"\ra\r\nb\r\n", "a\nb\n"}, {"\ra\nb", "a\nb"}, {"\ra\rb", "a\rb"}, {"\ra\r\r\nb", "a\r\nb"},
		{"\r\r", "\r"}, {"\r\r\r", "\r\r"}, {"\r\n", "\n"}, {"\r\r\n", "\n"}, {"\rx\r", "x\r"}, {"\r\n\r", "\n\r"},
		{"\r" + strings.Repeat("x\r\n", 5000), strings.Repeat("x\n", 5000)},
		{"\r" + strings.Repeat("\r", 9000), strings.Repeat("\r", 9000)},
		// What would continue our Received line does not.
		{"\n b\n", "\n b\n"}, {"\n\t", "\n\t"}, {"\r b: c\r\n\r\n", "\n b: c\n\n"},
		{"\n" + strings.Repeat("\r\n", 5000), strings.Repeat("\r\n", 5000)},
	} {
		m := mail(c.text, "", "a@example.com")
		for _, pieces := range [][]string{{m}, strings.Split(m, "")} {
			s := &script{pieces: pieces}
			session, q := testSession(t, qmtpProtocol, s, nil)
			if err := session.run(); err != nil || len(q.taken) != 1 {
				t.Fatalf("%.20q: %v, %d queued", c.text, err, len(q.taken))
			}
			_, body, _ := strings.Cut(q.taken[0].text, "\n  by ")
			if _, body, _ = strings.Cut(body, "\n"); body != c.want {
				t.Errorf("%.20q: stored %.20q, want %.20q", c.text, body, c.want)
			}
		}
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	const (
		cannotText = "Dsorry, I can't handle that recipient (#5.1.3)"
		deniedText = "Dsorry, your envelope recipient has been denied (#5.7.1)"
		senderText = "Dunacceptable sender (#5.1.7)"
	)
	domain := "@example.com"
	long := strings.Repeat("x", maxAddress-len(domain)) + domain
	for _, c := range []struct {
		name   string
		files  map[string]string
		relay  string // the suffix; "-" is no right to relay
		sender string
		rcpts  []string
		want   []string
		queued string // envelope
	}{
		{"none", nil, "-", "s@x", nil, nil, ""},
		{"taken and not", nil, "-", "s@x", []string{"a@EXAMPLE.com", "a@b.example.com", "local", ""},
			[]string{ok, notHere, ok, ok}, "Fs@x Ta@EXAMPLE.com Tlocal T"},
		{"none taken", nil, "-", "s@x", []string{"a@b", "c@d"}, []string{notHere, notHere}, ""},
		{"relay", nil, "", "s@x", []string{"a@b"}, []string{ok}, "Fs@x Ta@b"},
		{"relay with a suffix", nil, ".gate", "s@x", []string{"a@b"}, []string{ok}, "Fs@x Ta@b.gate"},
		{"the longest", nil, "-", "s@x", []string{long, "x" + long}, []string{ok, cannotText}, "Fs@x T" + long},
		{"too long with the suffix", nil, ".g", "s@x", []string{long}, []string{cannotText}, ""},
		{"what no address holds", nil, "-", "s@x", []string{"a\x00b@example.com", "a\nb@example.com", "a\rb@example.com", "a@", "a@example.com"},
			[]string{cannotText, cannotText, cannotText, cannotText, ok}, "Fs@x Ta@example.com"},
		{"percent hack", map[string]string{"percenthack": "example.com\n"}, "-", "s@x", []string{"a%b@example.com"}, []string{notHere}, ""},
		{"a sender that cannot be", nil, "-", "a\x00b", []string{"a@example.com", "a@b"}, []string{senderText, notHere}, ""},
		{"a long sender", nil, "-", "x" + long, []string{"a@example.com"}, []string{senderText}, ""},
		{"odd senders", nil, "-", "list-@h.org-@[]", []string{"a@example.com"}, []string{ok}, "Flist-@h.org-@[] Ta@example.com"},
		{"badmailfrom", map[string]string{"badmailfrom": "@spam.example\n"}, "", "s@SPAM.example", []string{"a@example.com"},
			[]string{"Dsorry, your envelope sender is in my badmailfrom list (#5.7.1)"}, ""},
		{"badmailto", map[string]string{"badmailto": "a@example.com\n@b\n"}, "", "s@x", []string{"a@example.com", "c@b", "c@example.com"},
			[]string{deniedText, deniedText, ok}, "Fs@x Tc@example.com"},
		{"badrcptto, of an address without a domain", map[string]string{"badrcptto": "joe@mx.example.org\n"}, "-", "s@x", []string{"joe", "jim"},
			[]string{deniedText, ok}, "Fs@x Tjim"},
		{"maxrcpt", map[string]string{"maxrcpt": "2\n"}, "-", "s@x", []string{"a", "b@no", "c", "d"},
			[]string{ok, notHere, "Ztoo many recipients (#4.5.3)", "Ztoo many recipients (#4.5.3)"}, "Fs@x Ta"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &script{pieces: []string{mail("\nx\n", c.sender, c.rcpts...)}}
			session, q := testSession(t, qmtpProtocol, s, c.files)
			if c.relay != "-" {
				session.peer.relay, session.peer.relaySuffix = true, c.relay
			}
			o := session.outcome(t, q, s)
			want := ""
			for _, a := range c.want {
				want += encoded(a)
			}
			if o.answers != want || o.err != nil {
				t.Errorf("answers %q, %v, want %q", o.answers, o.err, want)
			}
			queued := ""
			if len(o.queued) == 1 {
				queued = strings.TrimSuffix(o.queued[0], ` "x\n"`)
			}
			if queued != c.queued {
				t.Errorf("queued %.80q, want %.80q", queued, c.queued)
			}
		})
	}
}

// Who names more recipients than twice what a message may have is hung up on.
func TestRecipientsWithoutEnd(t *testing.T) {
	t.Parallel()
	o := converse(t, qmtpProtocol, map[string]string{"maxrcpt": "2\n"}, mail("\nx\n", "", slices.Repeat([]string{"a"}, maxSurplus+3)...))
	if o.answers != "" || o.err != errTooMany || len(o.queued) != 0 {
		t.Errorf("got %+v", o)
	}
}

func TestMessageIsRefused(t *testing.T) {
	t.Parallel()
	const tooBig = "Dsorry, that message size exceeds my databytes limit (#5.3.4)"
	hops := func(n int) string { return "\n" + strings.Repeat("Received: x\n", n) + "\nbody\n" }
	for _, c := range []struct {
		name, text string
		peer       peer
		want       string
	}{
		{"as large as may be", "\n" + strings.Repeat("x", 10000), peer{}, ok},
		{"larger", "\n" + strings.Repeat("x", 10001), peer{}, tooBig},
		{"CR LF counts one", "\r" + strings.Repeat("\r\n", 10000), peer{}, ok},
		{"and no less", "\r" + strings.Repeat("\r\n", 10001), peer{}, tooBig},
		{"DATABYTES", "\n1234", peer{limited: true, databytes: 3}, tooBig},
		{"DATABYTES is 0", "\n" + strings.Repeat("x", 10001), peer{limited: true}, ok},
		{"99 hops", hops(99), peer{}, ok},
		{"100 hops", hops(100), peer{}, "Dtoo many hops, this message is looping (#5.4.6)"},
		{"RBLSMTPD", "\nx", peer{refusal: "go away"}, "Zgo away"},
		{"RBLSMTPD for good", "\nx", peer{refusal: "-go away"}, "Dgo away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &script{pieces: []string{mail(c.text, "s@x", "a@example.com", "a@b")}}
			session, q := testSession(t, qmtpProtocol, s, map[string]string{"databytes": "10000\n"})
			c.peer.ip = "192.0.2.1"
			session.peer = c.peer
			o := session.outcome(t, q, s)
			want := encoded(c.want) + encoded(notHere)
			if o.answers != want || o.err != nil || (len(o.queued) == 1) != (c.want == ok) {
				t.Errorf("got %+v, want %q", o, want)
			}
		})
	}
}

// What the queue says is what the client is told.
func TestQueueTrouble(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("x"), "Zqqt failure (#4.3.0)"},
		{fate.Temp("3.0", "qq write error or disk full (#4.3.0)", "", nil), "Zqq write error or disk full (#4.3.0)"},
		{fate.Perm("3.0", "no\nsuch (#5.3.0)", "", nil), "Dno?such (#5.3.0)"},
		{fate.Temp("3.0", "", "", nil), "Zqq trouble (#4.3.0)"},
	} {
		s := &script{pieces: []string{mail("\nx\n", "s@x", "a@example.com")}}
		session, q := testSession(t, qmtpProtocol, s, nil)
		q.fail = c.err
		if o := session.outcome(t, q, s); o.answers != encoded(c.want) || o.err != nil || !strings.Contains(o.log, "qmail-qmtpd: problem ") {
			t.Errorf("%v: %+v", c.err, o)
		}
	}
}
