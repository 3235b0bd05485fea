package smtpd

import "net/netip"

// queue is where messages go.
type queue interface {
	// begin starts a message. An error is temporary: no message now, or none from
	// there.
	begin(from origin) (submission, error)
	// takesFacts reports whether the records of internal/esmtp that an envelope
	// holds reach the next host.
	takesFacts() bool
	// takesUser reports whether those of who has logged in and of the client may
	// be among them.
	takesUser() bool
	// full reports whether no message would be taken now.
	full() bool
}

// origin is where a message comes from.
type origin struct {
	client netip.Addr
	// trusted clients may relay, and take as much as is there.
	trusted bool
}

// submission is one message on its way into the queue. After commit or abort
// it is over; one of them is always called.
type submission interface {
	// write hands on a piece of the message. After an error only abort may
	// follow. The piece is the caller's again when write returns.
	write(piece []byte) error
	// commit hands on the last piece and the envelope, records F sender NUL,
	// T recipient NUL ... and those of internal/esmtp, and waits until the message is durable. An error is
	// a *fate.Error, or temporary.
	commit(last, envelope []byte) (id string, err error)
	// abort drops the message: nothing of it is queued.
	abort()
}
