package qmtp

// queue is where messages go.
type queue interface {
	// begin starts a message. An error is temporary: no message now.
	begin() (submission, error)
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
