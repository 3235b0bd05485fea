package qmqpc

// Exit codes (spec section 1.3).
const (
	exitOK          = 0
	exitRefused     = 31 // the server refuses for good
	exitMemory      = 51 // more than a request can hold
	exitRead        = 54 // read error, or the caller gave up
	exitConfig      = 55 // no usable line in control/qmqpservers
	exitSocket      = 56
	exitHome        = 61
	exitNotNow      = 71 // the server refuses for now
	exitTimeout     = 72 // no connection in time
	exitUnreachable = 73 // no connection
	exitBroken      = 74 // the connection broke, or the answer is none
	exitGrammar     = 91 // of the envelope
)

// failure is an exit code that ends the program.
type failure int

func (f failure) Error() string { return "no message was queued" }
