package priv

// Calls is a set of calls beyond those that every confined program may make.
type Calls uint

const (
	// ChangeFiles is for who keeps the queue, and syncs it.
	ChangeFiles Calls = 1 << iota
	// WatchFiles is for who waits for files of others.
	WatchFiles
	// MakeMessages is for who hands out messages as memory.
	MakeMessages
	// AskKernel is for who asks for the addresses of this machine.
	AskKernel
	// Internet is for who speaks to other hosts.
	Internet
)
