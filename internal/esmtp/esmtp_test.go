package esmtp

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNotify(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"NEVER": "NEVER", "never": "NEVER", "SUCCESS": "SUCCESS", "delay,Failure": "FAILURE,DELAY",
		"SUCCESS,FAILURE,DELAY": "SUCCESS,FAILURE,DELAY",
		"":                      "!", "NEVER,FAILURE": "!", "FAILURE,NEVER": "!", "SUCCESS,SUCCESS": "!", "SUCCESS,": "!",
		",SUCCESS": "!", "SUCCESS FAILURE": "!", "ALWAYS": "!", "SUCCE\u017f\u017f": "!",
	} {
		var r Recipient
		got := "!"
		if r.ParseNotify(value) == nil {
			got = r.Notify.String()
		} else if r.Notify != 0 {
			t.Errorf("NOTIFY=%s: refused, yet %v", value, r.Notify)
		}
		if got != want {
			t.Errorf("NOTIFY=%s: %s, want %s", value, got, want)
		}
	}
	for n, want := range map[Notify]bool{0: true, Never: false, Success: false, Delay: false, Failure: true, Failure | Delay: true} {
		if n.WantsFailure() != want {
			t.Errorf("%v: WantsFailure is %v", n, !want)
		}
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		letter byte
		value  string
		ok     bool
	}{
		{RecordReturn, "FULL", true}, {RecordReturn, "hdrs", true}, {RecordReturn, "", false}, {RecordReturn, "HDR", false},
		{RecordEnvelopeID, "QQ314159", true}, {RecordEnvelopeID, "a+2Bb", true}, {RecordEnvelopeID, "a+2bb", false},
		{RecordEnvelopeID, "a+2", false}, {RecordEnvelopeID, "a+", false}, {RecordEnvelopeID, "a=b", false},
		{RecordEnvelopeID, "", false}, {RecordEnvelopeID, strings.Repeat("x", 100), true},
		{RecordEnvelopeID, strings.Repeat("x", 101), false}, {RecordEnvelopeID, "\xc3\xb6", false},
		{RecordEnvelopeID, "a\x7f", false}, {RecordEnvelopeID, "a b", false},
		{RecordUser, "joe", true}, {RecordUser, "joe+40x", true}, {RecordUser, Xtext("\x00 +=\xc3\xb6"), true}, {RecordUser, "", false},
		{RecordUser, "a b", false}, {RecordUser, strings.Repeat("x", 765), true}, {RecordUser, strings.Repeat("x", 766), false},
		{RecordUTF8, "", true}, {RecordUTF8, "x", false}, {RecordRequireTLS, "", true}, {RecordRequireTLS, "x", false},
		{RecordOrigin, "c", true}, {RecordOrigin, "h", true}, {RecordOrigin, "", false}, {RecordOrigin, "x", false}, {RecordOrigin, "cc", false}, {RecordOrigin, "\x00", false},
		{RecordClient, "192.0.2.1", true}, {RecordClient, "2001:db8::1", true}, {RecordClient, "::ffff:192.0.2.1", true},
		{RecordClient, "", false}, {RecordClient, "fe80::1%eth0", false}, {RecordClient, "192.0.2.1:25", false}, {RecordClient, "mx.org", false},
		{RecordOriginal, "rfc822;jim@example.com", true}, {RecordOriginal, "rfc822;a+40b@example.com", true},
		{RecordOriginal, "jim@example.com", false}, {RecordOriginal, ";jim", false}, {RecordOriginal, "rfc822;", false},
		{RecordOriginal, "rf c;x", false}, {RecordOriginal, "rfc822;\xc3\xb6@x", false},
		{RecordOriginal, "utf-8;\xc3\xb6@x", true}, {RecordOriginal, "UTF-8;\\x{F6}@x", true},
		{RecordOriginal, "utf-8;\xf6@x", false}, {RecordOriginal, "utf-8;\\x{D800}", false},
		{RecordOriginal, "utf-8;\\x{110000}", false}, {RecordOriginal, "utf-8;\\x{f6}", false}, {RecordOriginal, "utf-8;\\x{F6", false},
		{RecordOriginal, "rfc822;" + strings.Repeat("x", 493), true}, {RecordOriginal, "rfc822;" + strings.Repeat("x", 494), false},
	} {
		var m Message
		var r Recipient
		var err error
		if IsMessageRecord(c.letter) {
			err = m.Take(c.letter, c.value)
		} else {
			err = r.Take(c.letter, c.value)
		}
		if (err == nil) != c.ok {
			t.Errorf("%c %q: %v", c.letter, c.value, err)
		}
		if err != nil && (m != Message{} || r != Recipient{}) {
			t.Errorf("%c %q: refused, yet something was taken", c.letter, c.value)
		}
	}
}

func TestTwice(t *testing.T) {
	t.Parallel()
	m := Message{UTF8: true, RequireTLS: true, Return: Full, EnvelopeID: "x", User: "joe", Origin: FromClient, Client: netip.MustParseAddr("192.0.2.1")}
	for letter, value := range map[byte]string{RecordUTF8: "", RecordRequireTLS: "", RecordReturn: "HDRS", RecordEnvelopeID: "y", RecordUser: "jim", RecordOrigin: "h", RecordClient: "192.0.2.2"} {
		if m.Take(letter, value) != ErrTwice {
			t.Errorf("%c is taken twice", letter)
		}
	}
	r := Recipient{Notify: Never, Original: "rfc822;x"}
	for letter, value := range map[byte]string{RecordNotify: "FAILURE", RecordOriginal: "rfc822;y"} {
		if r.Take(letter, value) != ErrTwice {
			t.Errorf("%c is taken twice", letter)
		}
	}
}

// What is written is read as what it was.
func FuzzRecords(f *testing.F) {
	f.Add("U", "", "N", "SUCCESS,DELAY")
	f.Add("r", "full", "o", "rfc822;a+2Bb@x")
	f.Add("e", "a+2Bb", "o", "utf-8;\\x{F6}@x")
	f.Fuzz(func(t *testing.T, messageLetter, messageValue, recipientLetter, recipientValue string) {
		if len(messageLetter) != 1 || len(recipientLetter) != 1 {
			return
		}
		var m, m2 Message
		var r, r2 Recipient
		if m.Take(messageLetter[0], messageValue) == nil {
			records := string(m.Append(nil))
			if m2.Take(records[0], strings.TrimSuffix(records[1:], "\x00")) != nil || m2 != m {
				t.Errorf("%+v is written %q", m, records)
			}
		}
		if r.Take(recipientLetter[0], recipientValue) == nil {
			records := string(r.Append(nil))
			if r2.Take(records[0], strings.TrimSuffix(records[1:], "\x00")) != nil || r2 != r {
				t.Errorf("%+v is written %q", r, records)
			}
			if strings.ContainsAny(records[:len(records)-1], "\x00\r\n ") {
				t.Errorf("%q in a record", records)
			}
		}
	})
}
