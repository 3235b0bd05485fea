package smtpd

import (
	"strings"
	"testing"
)

// The spool dies when it has a message and before it answers: the next one is
// given the same message with the same nonce, and its answer is the client's.
func TestAnswerIsLost(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	dying := h.spool
	dying.note(func() { dying.hangUp = true })
	c := h.dial()
	c.play(transaction + "C: DATA\nS: 354 go ahead\n")
	c.send("x\r\n.\r\n")
	dying.await("the message", func() bool { return len(dying.taken) > 0 })
	h.spool = newFakeSpool(t)
	h.relink()
	c.play("S: 250 *" + bye)
	next := h.spool.messages()
	if len(next) != 1 || next[0] != dying.messages()[0] || h.spool.nonces[0] != dying.nonces[0] {
		t.Errorf("got %v with %q, want %v with %q", next, h.spool.nonces, dying.messages(), dying.nonces)
	}
}

// A long message is not kept, so that its outcome stays unknown: the client
// comes again.
func TestAnswerToALongMessageIsLost(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	h.spool.note(func() { h.spool.hangUp = true })
	c := h.dial()
	c.play(transaction + "C: DATA\nS: 354 go ahead\n")
	c.send(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2000) + ".\r\n")
	c.play("S: 451 4.3.0 *")
}

// Who has something to hand in while the spool is being replaced waits for it.
func TestSpoolIsReplaced(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	short, long := h.dial(), h.dial()
	short.play(transaction)
	long.play(transaction)
	h.spool.leave()
	short.send("DATA\r\n")
	long.send("DATA\r\n")
	h.relink()
	short.play("S: 354 go ahead\nR: x\\r\\n.\\r\\n\nS: 250 *\n")
	long.play("S: 354 go ahead\n")
	long.send(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2000) + ".\r\n")
	long.play("S: 250 *\n")
}
