package smtpd

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// hearing keeps what a session says.
type hearing struct {
	conn
	said strings.Builder
}

func (h *hearing) Write(b []byte) (int, error) { return h.said.Write(b) }

// shown is what a queue has, without the times of the Received lines.
func shown(q *memoryQueue) string {
	var b strings.Builder
	for _, m := range q.taken {
		b.WriteString(m.String() + "\n")
	}
	return b.String()
}

var acceptedAt = regexp.MustCompile(`ok \d+ qp`)

// playPieces gives a session the pieces of a stream as one read each, and returns
// what it said and queued.
func playPieces(t *testing.T, pieces ...string) (said, queued string) {
	t.Helper()
	s, q := newTestSession(&scriptedConn{pieces: pieces})
	s.lenient = true // what came early enough to be seen depends on the pieces
	h := &hearing{conn: s.conn}
	s.conn, s.in.conn = h, h
	_ = s.run() // ends at the end of the input, one way or other
	if used := s.lent.used.Load(); used != 0 {
		t.Errorf("%d octets are still lent", used)
	}
	return acceptedAt.ReplaceAllString(h.said.String(), "ok T qp"), shown(q)
}

// T10 for BDAT: of all ways to fake the end of a message none ends a chunk, and
// nothing of it is run, wherever the input is split.
func TestSmugglingByChunks(t *testing.T) {
	t.Parallel()
	ends := []string{"\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\x00", "\x00\r\n", "\n\n"}
	smuggled := "MAIL FROM:<evil@example.net>\r\nRCPT TO:<jim@example.com>\r\nBDAT 4 LAST\r\nevil"
	const begin = "MAIL FROM:<joe@example.net>\r\nRCPT TO:<jim@example.com>\r\n"
	for _, before := range ends {
		for _, after := range ends {
			t.Run(fmt.Sprintf("%q", before+"."+after), func(t *testing.T) {
				t.Parallel()
				text := "text" + before + "." + after + smuggled
				lines := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text) + "\n"
				want := fmt.Sprintf("Fjoe@example.net Tjim@example.com %q\n", lines)
				accepted := begin + fmt.Sprintf("BDAT %d LAST\r\n%sQUIT\r\n", len(text), text)
				refused := fmt.Sprintf("BDAT %d LAST\r\n%sQUIT\r\n", len(text), text)
				for split := range len(accepted) + 1 {
					said, queued := playPieces(t, accepted[:split], accepted[split:])
					if queued != want || strings.Count(said, "\n") != 5 || !strings.Contains(said, "\n221 ") {
						t.Fatalf("split at %d: %q, queued %q", split, said, queued)
					}
				}
				for split := range len(refused) + 1 {
					said, queued := playPieces(t, refused[:split], refused[split:])
					if queued != "" || strings.Count(said, "\n") != 3 || !strings.Contains(said, "\n221 ") {
						t.Fatalf("split at %d: %q, queued %q", split, said, queued)
					}
				}
			})
		}
	}
}

// streams are what TestRandomSplits makes conversations of.
var streams = []string{
	"EHLO x\r\n", "MAIL FROM:<joe@example.net>\r\n", "MAIL FROM:<\xc3\xb6@example.net> SMTPUTF8 RET=HDRS\r\n", "RCPT TO:<jim@example.com>\r\n",
	"RCPT TO:<ann@example.com> NOTIFY=NEVER\r\n", "RCPT TO:<x@example.net>\r\n", "MAIL FROM:<joe@example.net> BODY=BINARYMIME\r\n", "RSET\r\n", "NOOP\r\n", "DATA\r\n", "DATA\r\nx\r\n..y\r\n.\r\n",
	"DATA\r\nx\n.\n\r\n.\r\n", "DATA\r\nReceived: x\r\n\r\n\r\n.\r\n", "BDAT 5\r\na\r\nb\r", "BDAT 3 LAST\r\n\nc\n", "BDAT 0 LAST\r\n",
	"BDAT 6\r\nQUIT\r\n", "BDAT 3 FOO\r\nxyz", "BDAT 2000 LAST\r\n" + strings.Repeat("0123456789abcde\r\n\r\n.", 100), "\r\n", ".\r\n", "\x00\r\n",
	"BDAT 42 LAST\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\r\n\r\n", "BDAT 40\r\nContent-Type: multipart/x; boundary=b\r\n\r\n",
	"BDAT 42\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n", "BDAT 9 LAST\r\n\r\n--b--\r\n", strings.Repeat("y", 5000) + "\r\n", "x",
}

// The same stream gives the same replies and the same queue however it is cut.
func TestRandomSplits(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	const rounds = 3000
	t.Logf("seed %d, %d conversations", seed, rounds)
	random := rand.New(rand.NewPCG(seed, 1))
	queuedTotal := 0
	for range rounds {
		stream := ""
		if random.IntN(2) == 0 {
			stream = "MAIL FROM:<joe@example.net>\r\nRCPT TO:<jim@example.com>\r\n"
		}
		for range 1 + random.IntN(12) {
			stream += streams[random.IntN(len(streams))]
		}
		wantSaid, wantQueued := playPieces(t, stream)
		var pieces []string
		for rest := stream; rest != ""; {
			n := min(len(rest), 1+random.IntN(1+random.IntN(200)))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		said, queued := playPieces(t, pieces...)
		if said != wantSaid || queued != wantQueued {
			t.Fatalf("%q\nin pieces %q\nsaid   %q\nwhole  %q\nqueued %q\nwhole  %q", stream, pieces, said, wantSaid, queued, wantQueued)
		}
		queuedTotal += strings.Count(queued, "\n")
	}
	t.Logf("%d messages were queued", queuedTotal)
	if queuedTotal < rounds/10 {
		t.Error("hardly anything is queued: the conversations test little")
	}
}
