package queuedir

import (
	"fmt"
	"path/filepath"
)

// Layout says where things are below the queue directory.
type Layout struct {
	Root string // Q/queue
}

// At returns the layout of the queue of the qmail home directory home.
func At(home string) Layout { return Layout{Root: filepath.Join(home, "queue")} }

// Tmp is the directory of what is being received.
func (l Layout) Tmp() string { return l.Root + "/tmp" }

// Answered is what a qmail-spool leaves that ended with every submitter
// answered: no message will be submitted again.
func (l Layout) Answered() string { return l.Tmp() + "/answered" }

// NewDir is the directory of the accepted messages of a bucket.
func (l Layout) NewDir(bucket string) string { return l.Root + "/new/" + bucket }

// Entry is the file of an accepted message.
func (l Layout) Entry(id ID) string { return l.NewDir(id.Bucket()) + "/" + id.String() }

// Staged is the name of an entry that an import is about to put into the queue.
// Its progress file may be there already.
func (l Layout) Staged(id ID) string { return l.NewDir(id.Bucket()) + "/." + id.String() }

// Body is the body of a message over MaxInlineBody.
func (l Layout) Body(id ID) string { return l.Entry(id) + BodySuffix }

// BodySuffix ends the name of the file of a large body.
const BodySuffix = ".body"

// InfoDir is the directory of the progress files of a bucket.
func (l Layout) InfoDir(bucket string) string { return l.Root + "/info/" + bucket }

// Info is the progress file of a message.
func (l Layout) Info(id ID) string { return l.InfoDir(id.Bucket()) + "/" + id.String() }

// Bad is where entries go that failed their check.
func (l Layout) Bad() string { return l.Root + "/bad" }

// BadUnacked is where torn entries go that were never acknowledged.
func (l Layout) BadUnacked() string { return l.Root + "/bad/unacked" }

// Drop is where local programs leave messages while the spool is down.
func (l Layout) Drop() string { return l.Root + "/drop" }

// Socket is the public submit socket.
func (l Layout) Socket() string { return l.Root + "/submit.sock" }

// Manage is the socket of those who look at the queue and change it.
func (l Layout) Manage() string { return l.Root + "/manage.sock" }

// SpoolLock is locked by the one qmail-spool of this queue.
func (l Layout) SpoolLock() string { return l.Root + "/lock/spool" }

// SendLock is locked by the one qmail-send of this queue; qmail's own name.
func (l Layout) SendLock() string { return l.Root + "/lock/sendmutex" }

// BucketName returns the directory name of bucket i.
func BucketName(i int) string { return fmt.Sprintf("%02d", i%Buckets) }
