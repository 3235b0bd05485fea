package queuecheck

import "fmt"

// Level is whose a finding is.
type Level int

const (
	// Own is what the suite takes care of by itself.
	Own Level = iota + 1
	// Hands is what somebody must look at.
	Hands
	// Unread is what could not be looked at by whoever asks.
	Unread
)

// String returns the word for programs.
func (l Level) String() string { return [...]string{Own: "own", Hands: "hands", Unread: "unread"}[l] }

// Kind is the name of what may be found.
type Kind string

// The kinds of findings.
const (
	Missing     Kind = "missing"      // a directory, or a file of lock/
	WrongType   Kind = "wrong-type"   // a pipe, a link or the like
	WrongOwner  Kind = "wrong-owner"  // or group, or mode
	Unknown     Kind = "unknown"      // a name that nobody gives
	Misplaced   Kind = "misplaced"    // in the bucket of others
	CannotRead  Kind = "cannot-read"  // an error of the system
	Torn        Kind = "torn"         // an entry or its body ends early
	Damaged     Kind = "damaged"      // a checksum does not fit
	Newer       Kind = "newer"        // of a later release
	Done        Kind = "done"         // an entry of which nothing is to be done
	OrphanBody  Kind = "orphan-body"  // without its entry
	OrphanInfo  Kind = "orphan-info"  // progress without its entry
	TornInfo    Kind = "torn-info"    // progress whose last line does not count
	DamagedInfo Kind = "damaged-info" // or of another message
	HugeInfo    Kind = "huge-info"    // longer than any message can make it
	Spare       Kind = "spare"        // progress that was being written anew
	KeptInfo    Kind = "kept-info"    // of a message that is not in bad/ any more
	Staged      Kind = "staged"       // what an import has begun
	Leftover    Kind = "leftover"     // in tmp/, or begun in drop/
	Aside       Kind = "aside"        // in bad/
	Unacked     Kind = "unacked"      // in bad/unacked
	Waiting     Kind = "waiting"      // a message in drop/
	NotADrop    Kind = "not-a-drop"   // what qmail-spool removes from drop/
	TornDrop    Kind = "torn-drop"    // a message in drop/ that is not whole
	DamagedDrop Kind = "damaged-drop" // a message in drop/ whose checksum does not fit
)

// Finding is something that is not as it should be.
type Finding struct {
	Path    string // below the queue
	Kind    Kind
	Level   Level
	What    string // is wrong
	Becomes string // of it, if nobody does anything
	Do      string // what somebody can do
	Mended  string // what was done about it

	passing bool // a working suite has it for moments
	remedy  remedy
}

// Summary is what was counted.
type Summary struct {
	Running   bool  // one of the daemons that own the queue
	Messages  int64 // whole ones
	Tried     int64 // that have a progress file
	Receiving int64 // files in tmp/ of a qmail-spool that runs
	Dropping  int64 // files in drop/ that are being written
	// PutBack are messages whose entry came here long after they arrived, of a
	// restore or an import; Untried those without a progress file.
	PutBack, Untried int64
	Own, Hands       int64 // findings, but for those mended
	Unread           int64
	Mended           int64
}

// setAside is what becomes of entries that cannot be read.
const (
	toBad     = "qmail-send has it moved into bad/, where it stays"
	toUnacked = "qmail-send has it moved into bad/unacked, which is emptied after seven days"
	backup    = "put it back from a backup while the suite is stopped, or take it away"
)

// with adds what repair does.
func (f Finding) with(r remedy) Finding {
	f.remedy = r
	return f
}

// passes says that a working suite has it for moments.
func (f Finding) passes() Finding {
	f.passing = true
	return f
}

func own(path string, k Kind, what, becomes, do string) Finding {
	return Finding{Path: path, Kind: k, Level: Own, What: what, Becomes: becomes, Do: do}
}

func hands(path string, k Kind, what, becomes, do string) Finding {
	return Finding{Path: path, Kind: k, Level: Hands, What: what, Becomes: becomes, Do: do}
}

// unknown is a name that nobody gives.
func unknown(path string) Finding {
	return hands(path, Unknown, "is nothing that the suite has made", "it stays", "take it away; --repair moves it into bad/").
		with(remedy{find: true})
}

// misplaced is a message's file in the bucket of others.
func misplaced(path, place string) Finding {
	return hands(path, Misplaced, "is in a directory that is not that of its number", "nobody looks for it there: it stays, and is not delivered",
		fmt.Sprintf("move it to %s while the suite is stopped; --repair does", place)).with(remedy{to: place})
}
