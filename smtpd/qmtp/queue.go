package qmtp

import "net/netip"

// queue is where messages go.
type queue interface {
	// begin starts a message. An error is temporary: no message now, or none from
	// there.
	begin(from origin) (submission, error)
}

// origin is where a message comes from.
type origin struct {
	client netip.Addr
	// trusted clients may relay, and take as much as is there.
	trusted bool
}

// submission is one message on its way into the queue: the text, the sender,
// the recipients. After an error only Abort may follow. An error is a
// *fate.Error, or temporary. An *enqueue.Submission is one.
type submission interface {
	Write(p []byte) (int, error)
	Sender(address string) error
	Recipient(address string) error
	// Commit waits until the message is durable.
	Commit() (id string, err error)
	// Abort drops a message that was not committed: nothing of it is queued.
	Abort()
}
