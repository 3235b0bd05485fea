package qmailsend

import (
	"time"

	"postrider/internal/address"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
	"postrider/qmail-send/fair"
	"postrider/qmail-send/progress"
	"postrider/qmail-send/reading"
)

// active is a message in hand: read, and being delivered or settled.
type active struct {
	m          *message
	entry      *queuedir.Entry
	sender     address.Address // unexpanded
	forwarded  bool            // other hosts are told a sender of ours
	bulk       bool            // of a list or sent in bulk
	lastTry    moment          // of what is told of a delay
	facts      esmtp.Message
	guide      *reading.Guide
	finished   queuedir.Bitmap // recipients that need no further attempt
	left       int             // recipients not in finished
	passes     [channels]*pass
	progress   progress.Unwritten
	orders     []progress.Edit         // which progress tells of
	unkept     bool                    // an order that is done may not be on disk yet
	writing    bool                    // a recorder has results of it
	bouncing   bool                    // a notice is being submitted
	damaged    error                   // found while reading on: to be set aside
	cancelled  bool                    // it is removed once nothing is under way
	stuck      bool                    // results could not be written; nothing new starts
	stuckUntil moment                  // when that is tried again
	flushAt    moment                  // when results are written at the latest; never: none
	owed       int                     // results on disk that are to be told
	delays     int                     // deferrals of this attempt that are to be told
	delaysFrom int64                   // where they begin in the progress file
	telling    [channels]time.Duration // of which delay they tell; 0: of none
	told       [channels]time.Duration // of which delay the sender was told
	bounced    int64                   // where they begin in the progress file
	size       int64                   // of the progress file
	synced     int64                   // the part behind which only what was tried follows
	rewrite    bool                    // the progress file may hold an unfinished append
	noted      bool                    // the progress file shows the next attempt
	begun      bool                    // something was given out
}

const (
	// flushDelay and flushCount are when results are written of a message that
	// goes on being delivered.
	flushDelay = time.Second
	flushCount = 100
	// maxStuck is how many messages may keep results in memory that could not
	// be written before nothing new is started.
	maxStuck = 200
	// maxSettling is how many messages are settled at a time.
	maxSettling = 8
)

// pass is one reading of the recipients of a message for one channel.
type pass struct {
	a       *active
	way     *way
	class   class
	dying   bool // the message has been in the queue too long
	began   moment
	retryAt moment // when the next pass is due if any is deferred
	flow    fair.Flow
	weight  uint16
	lane    uint32

	window      window
	cursor      *reading.Cursor // made when the first window was not all
	filling     bool            // a reader prepares the next window
	outstanding int             // deliveries
	given       int             // recipients
	bulk        bool            // counted in way.bulk
	telling     bool            // what is deferred is to be told to the sender
	deferred    bool
	lost        bool // a delivery agent went away
	left        bool // it has given out all, or was cut short
	cut         bool // short

	due    moment // when it was
	begun  bool   // it has given something out
	ages   uint8  // of how many delays its sender hears if all is deferred
	speaks bool   // so that what may not go has a result, too
	urgent bool

	claims    *destination // counts it
	dead      *destination // could not be reached; nothing else is deferred
	only      *destination // nothing else is given out
	rests     bool         // something else was left out,
	restAt    moment       // which is due then
	aside     *destination // that had no room for something,
	asideMore bool         // nor had others
	passed    []*destination
	stalledAt *destination
	stallEnd  moment
}

// spec is a job in the making.
type spec struct {
	reading.Group
	to *destination // remote: nil as long as nobody has asked
}

// window is the next recipients of a pass.
type window struct {
	specs []spec
	more  bool // there are further recipients, at or after index next
	next  int
}

// windowOf is a section as the scheduler gives it out.
func windowOf(read reading.Section) window {
	w := window{more: read.More, next: read.Next}
	if len(read.Groups) > 0 {
		w.specs = make([]spec, len(read.Groups))
	}
	for i, g := range read.Groups {
		w.specs[i].Group = g
	}
	return w
}

// drained reports whether p has given out all its recipients.
func (p *pass) drained() bool { return len(p.window.specs) == 0 && !p.window.more && !p.filling }

func (a *active) inHand() bool {
	for _, p := range a.passes {
		if p != nil {
			return true
		}
	}
	return false
}

// finish notes that a recipient needs no further attempt.
func (a *active) finish(index int) {
	if !a.finished.Has(index) {
		a.finished.Set(index)
		a.left--
	}
}
