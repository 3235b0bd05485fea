package qmailremote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// offers is a greeting that offers what is named.
func offers(extensions ...string) string {
	lines := "S 220 peer ESMTP\nC EHLO me.example.org\nS 250-peer\n"
	for _, e := range extensions {
		lines += "S 250-" + e + "\n"
	}
	return lines + "S 250 HELP\n"
}

const accepted1 = "K192.0.2.1 accepted message./Remote host said: 250 queued/|"

// TestTransactions shows what goes over the wire and what comes of it.
func TestTransactions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script, text, recipients, want string
	}{
		{"pipelining: one piece up to DATA", offers("PIPELINING") +
			"1 4\nS 250 ok\nS 250 a\nS 250 b\nS 354 go\nD hi\nS 250 queued" + bye,
			"hi\n", "a@d b@d", "r|r|" + accepted1},
		{"pipelining, one refused", offers("PIPELINING") +
			"1 4\nS 250 ok\nS 550 a\nS 250 b\nS 354 go\nD hi\nS 250 queued" + bye,
			"hi\n", "a@d b@d", "h192.0.2.1 does not like recipient./Remote host said: 550 a/|r|" + accepted1},
		{"pipelining, all replies in one piece", offers("PIPELINING") +
			"1 4\nS- 250 ok\\r\\n250 a\\r\\n250 b\\r\\n354 go\\r\\n\nD hi\nS 250 queued" + bye,
			"hi\n", "a@d b@d", "r|r|" + accepted1},
		{"pipelining, all refused, DATA refused", offers("PIPELINING") +
			"1 3\nS 250 ok\nS 550 a\nS 503 no recipients" + bye,
			"hi\n", "a@d", "h192.0.2.1 does not like recipient./Remote host said: 550 a/|DGiving up on 192.0.2.1./|"},
		{"pipelining, all refused, yet 354: closed without a message", offers("PIPELINING") +
			"1 3\nS 250 ok\nS 550 a\nS 354 go",
			"hi\n", "a@d", "h192.0.2.1 does not like recipient./Remote host said: 550 a/|DGiving up on 192.0.2.1./|"},
		{"pipelining, sender refused", offers("PIPELINING") +
			"1 3\nS 550 sender\nS 503 no\nS 503 no" + bye,
			"hi\n", "a@d", "DConnected to 192.0.2.1 but sender was rejected./Remote host said: 550 sender/|"},
		{"pipelining, 421 in the middle", offers("PIPELINING") +
			"1 4\nS 250 ok\nS 550 a\nS 421 bye",
			"hi\n", "a@d b@d", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/Remote host said: 421 bye/|"},
		{"without pipelining no DATA after a refusal", offers() +
			"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<a@d>\nS 550 a" + bye,
			"hi\n", "a@d", "h192.0.2.1 does not like recipient./Remote host said: 550 a/|DGiving up on 192.0.2.1./|"},

		{"some refused for now, some for good", offers() + "C MAIL FROM:<s@x.example>\nS 250 ok\n" +
			"C RCPT TO:<a@d>\nS 550 a\nC RCPT TO:<b@d>\nS 450 b\nC RCPT TO:<c@d>\nS 250 c\nC DATA\nS 354 go\nD hi\nS 250 queued" + bye,
			"hi\n", "a@d b@d c@d", "h192.0.2.1 does not like recipient./Remote host said: 550 a/|" +
				"s192.0.2.1 does not like recipient./Remote host said: 450 b/|r|" + accepted1},
		{"too many recipients: a second transaction", offers() + "C MAIL FROM:<s@x.example>\nS 250 ok\n" +
			"C RCPT TO:<a@d>\nS 250 a\nC RCPT TO:<b@d>\nS 452 too many\nC RCPT TO:<c@d>\nS 552 too many\nC DATA\nS 354 go\nD hi\nS 250 queued\n" +
			"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<b@d>\nS 250 b\nC RCPT TO:<c@d>\nS 250 c\nC DATA\nS 354 go\nD hi\nS 250 again" + bye,
			"hi\n", "a@d b@d c@d", "r|r|r|" + accepted1},
		{"too many recipients, then full mailboxes", offers() + "C MAIL FROM:<s@x.example>\nS 250 ok\n" +
			"C RCPT TO:<a@d>\nS 250 a\nC RCPT TO:<b@d>\nS 552 full\nC DATA\nS 354 go\nD hi\nS 250 queued\n" +
			"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<b@d>\nS 552 full" + bye,
			"hi\n", "a@d b@d", "r|h192.0.2.1 does not like recipient./Remote host said: 552 full/Giving up on 192.0.2.1./|" + accepted1},
		{"too many recipients, and the second transaction dies", offers() + "C MAIL FROM:<s@x.example>\nS 250 ok\n" +
			"C RCPT TO:<a@d>\nS 250 a\nC RCPT TO:<b@d>\nS 452 too many\nC DATA\nS 354 go\nD hi\nS 250 queued\nC MAIL FROM:<s@x.example>",
			"hi\n", "a@d b@d", "r|s192.0.2.1 does not like recipient./Remote host said: 452 too many/|" + accepted1},
		{"too many recipients, and the second end is unclear", offers() + "C MAIL FROM:<s@x.example>\nS 250 ok\n" +
			"C RCPT TO:<a@d>\nS 250 a\nC RCPT TO:<b@d>\nS 452 too many\nC DATA\nS 354 go\nD hi\nS 250 queued\n" +
			"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<b@d>\nS 250 b\nC DATA\nS 354 go\nD hi",
			"hi\n", "a@d b@d", "r|sConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/|" + accepted1},

		{"SIZE and 8BITMIME for 8-bit text", offers("SIZE 100000", "8BITMIME") +
			"C MAIL FROM:<s@x.example> SIZE=7 BODY=8BITMIME\nS 250 ok\nC RCPT TO:<a@d>\nS 250 a\nC DATA\nS 354 go\nD h\xff|i\nS 250 queued" + bye,
			"h\xff\ni", "a@d", "r|" + accepted1},
		{"7-bit text needs no BODY", offers("SIZE", "8BITMIME") +
			"C MAIL FROM:<s@x.example> SIZE=4\nS 250 ok\nC RCPT TO:<a@d>\nS 250 a\nC DATA\nS 354 go\nD hi\nS 250 queued" + bye,
			"hi\n", "a@d", "r|" + accepted1},
		{"8 bits in a header go as they are to a peer without 8BITMIME", offers() +
			"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<a@d>\nS 250 a\nC DATA\nS 354 go\nD h\xff\nS 250 queued" + bye,
			"h\xff\n", "a@d", "r|" + accepted1},
		{"larger than the peer takes", offers("SIZE 3") + strings.TrimPrefix(bye, "\n"),
			"hi\n", "a@d", "D192.0.2.1 takes messages of at most 3 bytes; this one has 4. (#5.3.4)/|"},
		{"SIZE 0 is no limit", offers("size 0") +
			"C MAIL FROM:<s@x.example> SIZE=4\nS 250 ok\nC RCPT TO:<a@d>\nS 250 a\nC DATA\nS 354 go\nD hi\nS 250 queued" + bye,
			"hi\n", "a@d", "r|" + accepted1},

		{"last line without LF", offers() +
			"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<a@d>\nS 250 a\nC DATA\nS 354 go\nD hi|there\nS 250 queued" + bye,
			"hi\nthere", "a@d", "r|" + accepted1},
		{"dots and stored CR", offers() +
			"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<a@d>\nS 250 a\nC DATA\nS 354 go\nD ..|...a|X|..|QUIT\nS 250 queued" + bye,
			".\n..a\nX\r.\nQUIT\n", "a@d", "r|" + accepted1},
		{"empty message", offers() +
			"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<a@d>\nS 250 a\nC DATA\nS 354 go\nC .\nS 250 queued" + bye,
			"", "a@d", "r|" + accepted1},
		{"a reply nobody asked for", "S 220 peer\nC EHLO me.example.org\nS- 250 peer\\r\\n250 what\\r\\n",
			"hi\n", "a@d", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|"},
		{"a refusal before the message is out of step", toData + `S- 354 go\r\n550 no\r\n` + "\n. close",
			"hi\n", "r@d.example", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|"},
		{"endless reply", hello + "C MAIL FROM:<s@x.example>\nS- 250-" + strings.Repeat("x", 70<<10) + "\n~ hang",
			"hi\n", "a@d", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/Remote host said: 250-" + strings.Repeat("x", 4996) + "/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "d. 60 IN MX 10 mx.d.", "mx.d. 60 IN A 192.0.2.1")
			h.peer("192.0.2.1", script(c.script))
			h.dns.Add(t, "d.example. 60 MX 10 mx.d.")
			if got := h.deliver(c.text, "d", strings.Fields(c.recipients)...); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if !strings.Contains(c.script, "~ hang") {
				h.end()
			}
		})
	}
}

// TestManyRecipients: groups are bounded, and all of 100 recipients are told.
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	var list []string
	steps, want := offers("PIPELINING")+"C MAIL FROM:<s@x.example>\nS 250 ok\n", ""
	for i := range 100 {
		a := fmt.Sprintf("%s%d@d.example", strings.Repeat("a", 200), i)
		list = append(list, a)
		steps += "C RCPT TO:<" + a + ">\n"
		if i%10 == 3 {
			steps += "S 550 " + strings.Repeat("no ", 1000) + "\n"
		} else {
			steps += "S 250 ok\n"
		}
	}
	h.peer("192.0.2.1", script(steps+"C DATA\nS 354 go\nD hi\nS 250 queued"+bye))
	got := h.deliver("hi\n", "d.example", list...)
	parts := strings.Split(got, "|")
	for i := range list {
		letter := byte('r')
		if i%10 == 3 {
			letter = 'h'
		}
		if i >= len(parts) || parts[i][0] != letter {
			t.Fatalf("recipient %d: %.80s", i, parts[i])
		}
	}
	if !strings.HasSuffix(got, accepted1) {
		t.Errorf("want %s", want)
	}
	h.end()
}

// TestGroups: what is sent without waiting stays under the bound.
func TestGroups(t *testing.T) {
	t.Parallel()
	var commands []string
	for i := range 300 {
		commands = append(commands, strings.Repeat("x", i*7%1100)+"\r\n")
	}
	for _, pipelining := range []bool{false, true} {
		s := &session{ext: extensions{pipelining: pipelining}}
		var all []byte
		for next := 0; next < len(commands); {
			end, group := s.group(commands, next)
			if len(group) > maxGroup || !pipelining && end != next+1 {
				t.Fatalf("group of %d commands, %d bytes", end-next, len(group))
			}
			all = append(all, group...)
			next = end
		}
		if string(all) != strings.Join(commands, "") {
			t.Error("commands changed")
		}
	}
}

func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	h := newHost(t, twoMX...)
	h.peer("192.0.2.1", toData+"S 354 go")
	b := message(t, simpleMessage)
	b.r = brokenFile{b.r}
	o, _ := h.client.deliver(context.Background(), "d.example",
		mail{sender: addr(t, "s@x.example"), body: b, recipients: recipients(t, "r@d.example")})
	if got := show(o); got != "r|ZUnable to read message. (#4.3.0)/|" {
		t.Errorf("got %s", got)
	}
	h.end()
}

type brokenFile struct{ io.ReadSeeker }

func (brokenFile) Read([]byte) (int, error) { return 0, errors.New("broken disk") }

func TestBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text     string
		size     int64
		eightBit bool
	}{
		{"", 0, false},
		{"a\n", 3, false},
		{"a", 3, false},
		{"a\nb\n", 6, false},
		{"\x7f\n", 3, false},
		{"\x80\n", 3, true},
		{strings.Repeat("x", 3*pieceSize) + "\xff", 3*pieceSize + 3, true},
	} {
		b := message(t, c.text)
		if b.wireSize != c.size || b.eightBit != c.eightBit {
			t.Errorf("%.20q: size %d, 8-bit %v", c.text, b.wireSize, b.eightBit)
		}
		for range 2 {
			r, err := b.open()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, []byte(c.text)) {
				t.Errorf("read %q, %v", got, err)
			}
		}
	}
}

// TestBodyOffset: the message begins where the descriptor stands.
func TestBodyOffset(t *testing.T) {
	t.Parallel()
	f := messageFile(t, "skipped\nmessage\n")
	if _, err := f.Seek(8, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	b, err := openBody(f)
	if err != nil || b.wireSize != 9 {
		t.Fatalf("%v, size %d", err, b.wireSize)
	}
	r, _ := b.open()
	if got, _ := io.ReadAll(r); string(got) != "message\n" {
		t.Errorf("got %q", got)
	}
}

// TestBodyOnce: a pipe is read once, then no other host can be tried.
func TestBodyOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, first, want string }{
		{"before it was read", begun + "S 421 bye", queuedBy2},
		{"after it was read", toData + "S 354 go\n! reset", "r|ZConnected to 192.0.2.1 but connection died"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, twoMX...)
			h.peer("192.0.2.1", script(c.first))
			h.peer("192.0.2.2", success)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			go func() {
				io.WriteString(w, simpleMessage)
				w.Close()
			}()
			b, err := openBody(r)
			if err != nil {
				t.Fatal(err)
			}
			o, _ := h.client.deliver(context.Background(), "d.example",
				mail{sender: addr(t, "s@x.example"), body: b, recipients: recipients(t, "r@d.example")})
			if got := show(o); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s", got)
			}
		})
	}
}
