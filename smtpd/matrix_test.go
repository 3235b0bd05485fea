package smtpd

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/rcpthosts"
	"postrider/internal/submitlink"
)

// memoryQueue is a queue without a spool.
type memoryQueue struct {
	refuse  error // of begin
	fail    error // of commit
	taken   []queuedMessage
	aborted int
}

type memorySubmission struct {
	queue *memoryQueue
	text  strings.Builder
}

func (q *memoryQueue) begin(origin) (submission, error) {
	if q.refuse != nil {
		return nil, q.refuse
	}
	return &memorySubmission{queue: q}, nil
}

func (q *memoryQueue) takesFacts() bool { return true }
func (q *memoryQueue) takesUser() bool  { return true }
func (q *memoryQueue) full() bool       { return false }

func (m *memorySubmission) write(piece []byte) error {
	m.text.Write(piece)
	return nil
}

func (m *memorySubmission) commit(last, envelope []byte) (string, error) {
	m.text.Write(last)
	if m.queue.fail != nil {
		return "", m.queue.fail
	}
	m.queue.taken = append(m.queue.taken, newQueued(m.text.String(), string(envelope)+"\x00"))
	return fmt.Sprint(len(m.queue.taken)), nil
}

func (m *memorySubmission) abort() { m.queue.aborted++ }

// deafConn is a connection of a test that calls handlers directly.
type deafConn struct{ early bool }

func (deafConn) Read([]byte) (int, error)          { return 0, errHungUp }
func (deafConn) Write(b []byte) (int, error)       { return len(b), nil }
func (deafConn) SetReadDeadline(t time.Time) error { return nil }
func (deafConn) SetWriteDeadline(time.Time) error  { return nil }
func (c deafConn) pending() bool                   { return c.early }

// testSettings are those of defaultControl.
func testSettings() *settings {
	return &settings{
		greeting: "mx.example.org", me: "mx.example.org", localIPHost: "mx.example.org", hasIPHost: true,
		timeout: time.Minute, sessionLimit: time.Hour, maxRcpt: 1000, minRate: defaultMinRate, maxHeader: defaultMaxHeader, maxErrors: 1000, concurrency: 1000, concurrencyIP: 1000,
		hosts: rcpthosts.New([]string{"example.com", ".sub.example.com"}, "", nil, "mx.example.org"),
	}
}

// newTestSession returns a session on c with a queue in memory.
func newTestSession(c conn) (*session, *memoryQueue) {
	q := &memoryQueue{}
	s := &session{
		service:  &service{clock: clock.Real(), log: &recordedLog{}, lent: &budget{}},
		conn:     c,
		settings: testSettings(),
		queue:    q,
		peer:     peer{ip: "192.0.2.1", host: unknown, local: "mx.example.org", localIP: netip.MustParseAddr("192.0.2.25")},
		began:    time.Now(),
	}
	s.in = newInput(c, s.lent)
	return s, q
}

// inState returns a session in one of the states in which commands are read.
func inState(t *testing.T, want state, c conn) *session {
	t.Helper()
	s, _ := newTestSession(c)
	for _, line := range []string{"MAIL FROM:<a@example.net>", "RCPT TO:<b@example.com>", "BDAT 0"}[:want] {
		if r := answer(t, s, line); !r.ok() {
			t.Fatalf("%s: %d %s", line, r.code, r.text)
		}
	}
	if s.state != want {
		t.Fatalf("state is %v, want %v", s.state, want)
	}
	return s
}

// answer gives a session a command, and the octets that it announces.
func answer(t *testing.T, s *session, line string) reply {
	t.Helper()
	r := s.dispatch(line)
	if r.code != 0 {
		return r
	}
	before := s.in.conn
	defer func() { s.in.conn = before }()
	s.in.conn = &scriptedConn{pieces: []string{strings.Repeat("x", int(s.chunk.left))}}
	r, err := s.readChunk()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return r
}

// matrix is the whole behaviour of the command table: reply and next state.
const matrix = `
verb                     ready        mail         rcpt         chunks
HELO x                   250 ready    250 ready    250 ready    250 ready
EHLO x                   250 ready    250 ready    250 ready    250 ready
MAIL FROM:<c@d.e>        250 mail     250 mail     250 mail     503 chunks
RCPT TO:<c@example.com>  503 ready    250 rcpt     250 rcpt     503 chunks
DATA                     503 ready    503 mail     354 message  503 chunks
BDAT 5                   503 ready    503 mail     250 chunks   250 chunks
BDAT 5 LAST              503 ready    503 mail     250 ready    250 ready
BDAT 0 LAST              503 ready    503 mail     250 ready    250 ready
AUTH PLAIN               502 ready    502 mail     502 rcpt     502 chunks
STARTTLS                 502 ready    502 mail     502 rcpt     502 chunks
XCLIENT ADDR=192.0.2.9   502 ready    502 mail     502 rcpt     502 chunks
RSET                     250 ready    250 ready    250 ready    250 ready
NOOP                     250 ready    250 mail     250 rcpt     250 chunks
VRFY x                   252 ready    252 mail     252 rcpt     252 chunks
HELP                     214 ready    214 mail     214 rcpt     214 chunks
QUIT                     221 ready    221 mail     221 rcpt     221 chunks
EXPN x                   502 ready    502 mail     502 rcpt     502 chunks
GET /                    554 ready    554 mail     554 rcpt     554 chunks
                         502 ready    502 mail     502 rcpt     502 chunks
DATA now                 503 ready    503 mail     501 rcpt     503 chunks
BDAT                     501 ready    501 mail     501 rcpt     501 chunks
BDAT x                   501 ready    501 mail     501 rcpt     501 chunks
BDAT 5 FIRST             501 ready    501 mail     501 rcpt     501 chunks
RSET now                 501 ready    501 mail     501 rcpt     501 chunks
QUIT now                 501 ready    501 mail     501 rcpt     501 chunks
VRFY                     501 ready    501 mail     501 rcpt     501 chunks
MAIL FROM:<              555 ready    555 mail     555 rcpt     503 chunks
RCPT TO:<a@example.net>  503 ready    553 mail     553 rcpt     503 chunks
RCPT                     503 ready    555 mail     555 rcpt     503 chunks
`

func TestMatrix(t *testing.T) {
	t.Parallel()
	var lines []string
	for row := range strings.Lines(matrix[strings.Index(matrix, "HELO"):]) {
		lines = append(lines, strings.TrimRight(row[:24], " "))
	}
	got := fmt.Sprintf("\n%-24s %-12v %-12v %-12v %v\n", "verb", ready, mail, rcpt, chunks)
	for _, line := range lines {
		row := fmt.Sprintf("%-24s", line)
		for st := range commandStates {
			s := inState(t, st, deafConn{})
			r := answer(t, s, line)
			if r.text == "" {
				t.Errorf("%s in state %v: no reply", line, st)
			}
			row += fmt.Sprintf(" %-12s", fmt.Sprintf("%d %v", r.code, s.state))
		}
		got += strings.TrimRight(row, " ") + "\n"
	}
	if got != matrix {
		t.Errorf("got%swant%s", got, matrix)
	}
	t.Log(got)
}

// Every verb of the table is in the matrix, with every state.
func TestMatrixIsComplete(t *testing.T) {
	t.Parallel()
	for _, v := range verbs {
		if !strings.Contains(matrix, "\n"+v.name) {
			t.Errorf("%s is not in the matrix", v.name)
		}
	}
}

// What comes behind DATA too early is neither run nor queued, in any state.
func TestEarlyTextEndsTheSession(t *testing.T) {
	t.Parallel()
	for st := range commandStates {
		s := inState(t, st, deafConn{early: true})
		if r := s.dispatch("DATA"); r != replyEarlyTalk || s.state == message {
			t.Errorf("in state %v: %d %s", st, r.code, r.text)
		}
	}
}

// RFC 2034: the class of the enhanced code is that of the reply; none on
// greeting, HELO, EHLO and 354.
func TestEnhancedCodes(t *testing.T) {
	t.Parallel()
	for _, r := range []reply{
		replyFlushed, replyNoop, replySenderOK, replyRcptOK, replyVrfy, replyHelp, replyMailFirst, replyRcptFirst,
		replyUnimplemented, replyLineTooLong, replyBadByte, replyNoArgument, replyHeloSyntax, replyBadMailFrom,
		replyNotRcptHost, replyTooManyRcpts, replyNoRoomForRcpt, replyHostsUnsure, replyTooBig, replyTooManyHop,
		replyBareLF, replyBareCR, replyLongHeader, replyLongText, replyInChunks, replyChunkSize, replyChunkWord,
		replyAuthOK, replyAuthUnsure, replyAuthLimited, replyAuthTooLong, replyAuthMalformed, replyAuthCanceled,
		replyAuthTwice, replyAuthInMail, replyNoAuth, replyAuthType, replyAuthNeeded, replyAuthFailed, replyAuthNeedsTLS, replyAuthTooMany,
		replyStartTLS, replyInTLS, replyInMail, replyNoTLS, replyNoProxy, replyXclientSyntax,
		replyNeedsUTF8, replyVrfyWhom, replyTooSlow, replyTooManyErrors, replyTooManyMails, replyRushed, chunkReply(5, true),
		replyNoQueue, replyNoFilter, replyNoMilter, replyNoRoom, replyTimeout, replySessionOver,
		replyNoControls, replyTooManyConns, replyTooManyOfIP, replyShutdown, replyTooManyCmds, replyBusy,
		replyEarlyTalk, replyNotSMTP, replyDenied, syntaxError(""), syntaxError("why"), quitReply("x"),
		replyNoMailbox, replyRcptUnsure, replyMailboxFull, replyTooManyBadTos, replyBadHelo, replyBadMailTo, replyBadRcptTo,
		replyNoName, replyUnconfirmed, replyNameUnsure, replyGreylisted, replyGreyUnsure, replyListsUnsure, replySPFUnsure, replySPF,
		replyManyConnects, replyManyMails, replyManyRcpts, acceptedReply(1, "2"), queueReply(submitlink.ErrNoSpool), refusedReply("x"), refusedReply("-x"), *refuse(501, "x"),
	} {
		if len(r.enhanced) < 5 || r.enhanced[0] != byte('0'+r.code/100) || r.enhanced[1] != '.' {
			t.Errorf("%d %q %s", r.code, r.enhanced, r.text)
		}
		if i := strings.Index(r.text, "(#"); i >= 0 && r.text[i:] != "(#"+r.enhanced+")" && r.code != 451 {
			t.Errorf("%d: code in the text differs: %s %s", r.code, r.enhanced, r.text)
		}
		if r.code == 421 && !r.hangUp {
			t.Errorf("421 %s does not hang up", r.text)
		}
	}
	for _, r := range []reply{replyGoAhead, greetingReply("x"), heloReply("x"), ehloReply(testSettings(), 0, true)} {
		if r.enhanced != "" {
			t.Errorf("%d has an enhanced code", r.code)
		}
	}
}
