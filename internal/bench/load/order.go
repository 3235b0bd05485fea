package load

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Arg is the first argument by which the benchmark's binary knows that it is
// the load.
const Arg = "bench-load"

// What an Order asks for.
const (
	Send     = "send"
	Sink     = "sink"
	Mute     = "mute"
	Latency  = "latency"
	First    = "first"
	Hold     = "hold"
	Sendmail = "sendmail"
	Limits   = "limits"
)

// Order is what the load shall do.
type Order struct {
	Do         string
	Server     string   // numeric address and port
	Messages   int      // how many; of Sink: recipients after which it says so
	Sessions   int      // in parallel
	Size       int      // bytes of a message
	Recipients []string // taken in turns
	Each       int      // recipients of one message, 1 if 0
	Again      bool     // of Send: what is refused for now is sent again
	Dir        string   // a Maildir's new, or where Limits writes
	Root       string   // of Sendmail: where the program lives
	Argv       []string // of Sendmail
	Limit      time.Duration
}

// Answer is what came of it.
type Answer struct {
	Began, Ended time.Time
	Count        int       // of what Order.Messages or Order.Sessions counts
	Failed       int       // sessions that broke or were refused
	Error        string    // the first reason, or why there was nothing at all
	Millis       []float64 // one time for each message or call
	Rates        map[string]float64
}

// task does an order. It says answers by say; input ends when it shall stop.
type task func(o Order, input io.Reader, say func(Answer)) error

func tasks() map[string]task {
	return map[string]task{
		Send: send, Sink: sink, Mute: mute, Latency: latency, First: first, Hold: hold, Sendmail: sendmail, Limits: limits,
	}
}

// Main does the order that it reads and returns an exit code.
func Main(input io.Reader, output io.Writer) int {
	answers := json.NewEncoder(output)
	say := func(a Answer) {
		// The benchmark that does not read any more has ended.
		_ = answers.Encode(a)
	}
	var o Order
	orders := json.NewDecoder(input)
	err := orders.Decode(&o)
	if err == nil {
		do := tasks()[o.Do]
		if do == nil {
			err = fmt.Errorf("no order %q", o.Do)
		} else {
			err = do(o, io.MultiReader(orders.Buffered(), input), say)
		}
	}
	if err != nil {
		say(Answer{Error: fmt.Sprintf("%s: %v", o.Do, err)})
		return 1
	}
	return 0
}
