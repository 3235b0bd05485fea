package qmtp

import (
	"os"

	"postrider/internal/submitlink"
)

const (
	// maxCommits is how many messages that were kept until their end have a
	// connection to the spool at a time; more wait for their turn.
	maxCommits = 32
	// maxStreams is how many messages have one while they arrive; more are told to
	// come again.
	maxStreams = 64
)

// spool is the queue of the daemon: connections to qmail-spool, made over the
// submit link, one for each message.
type spool struct {
	lent *budget
	link *submitlink.Link
}

func newSpool(lent *budget) *spool {
	return &spool{lent: lent, link: submitlink.New(submitlink.Limits{Commits: maxCommits, Streams: maxStreams})}
}

// relink takes a new submit link: qmail-spool was restarted, or starts.
func (p *spool) relink(f *os.File) error {
	_, err := p.link.Relink(f)
	return err
}

// begin only looks whether there is a spool, or will be in a moment.
func (p *spool) begin(from origin) (submission, error) {
	if err := p.link.Ready(); err != nil {
		return nil, err
	}
	return newSpoolSubmission(p, from), nil
}
