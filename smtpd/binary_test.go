package smtpd

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"postrider/internal/binarymime"
	"postrider/internal/wire/milter"
)

const binaryEnvelope = hello + "C: MAIL FROM:<joe@example.net> BODY=BINARYMIME\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\n"

// binaryMessage returns a message in binary, and what it becomes.
func binaryMessage(data string) (sent, queued string) {
	var lines strings.Builder
	for rest := []byte(data); len(rest) > 0; {
		n := min(len(rest), 57)
		lines.WriteString(base64.StdEncoding.EncodeToString(rest[:n]) + "\n")
		rest = rest[n:]
	}
	return "Content-Transfer-Encoding: binary\r\n\r\n" + data, "Content-Transfer-Encoding: base64\n\n" + lines.String()
}

// When memory is short lines are made in a tiny buffer, and who needs more has
// to come again.
func TestBinaryInShortMemory(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	if !h.d.lent.take(maxBorrowed - tinyBuffer - binarymime.Memory - 1<<10) {
		t.Fatal("no memory")
	}
	sent, queued := binaryMessage(strings.Repeat("\x00\r\n.\r\n", 50000))
	c := h.dial()
	c.play(binaryEnvelope + "R: BDAT 20\\r\\n" + sent[:20] + "\nS: 250 *\n")
	late := h.dial()
	late.play(binaryEnvelope + "R: BDAT 6\\r\\nQUIT\\r\\n\nS: 451 4.3.1 too much mail at once, try again soon (#4.3.1)\nR: BDAT 6 LAST\\r\\nQUIT\\r\\n\nS: 451 *\n")
	c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(sent)-20, sent[20:]))
	c.play("S: 250 2.0.0 ok *" + bye)
	if m := h.spool.messages(); len(m) != 1 || !strings.HasSuffix(m[0].text, "\n"+queued) {
		t.Error("the message differs")
	}
	late.play(strings.TrimPrefix(binaryEnvelope, hello) + "R: BDAT 3 LAST\\r\\nx\\r\\n\nS: 250 2.0.0 ok *\n" + bye)
}

// Milters are told of the message that they see.
func TestMiltersSeeLines(t *testing.T) {
	t.Parallel()
	sent, queued := binaryMessage("x\r\x00")
	h, f := startMilters(t, nil, func(kind byte, what string) []byte {
		if kind == milter.End {
			return handsBack(what)
		}
		return goOn
	})
	c := h.dial()
	c.play(hello + "C: MAIL FROM:<joe@example.net> SIZE=5 body=binarymime\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\n")
	c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(sent), sent))
	c.play("S: 250 2.0.0 ok *" + bye)
	for _, want := range []string{"Sclient.example.net", "Fjoe@example.net\x00SIZE=5\x00BODY=8BITMIME\x00", "Rjim@example.com\x00", "T"} {
		if got := <-f.told; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	if got := <-f.told; !strings.HasSuffix(got, "\n"+queued) {
		t.Errorf("told %q, want it to end with %q", got, queued)
	}
}
