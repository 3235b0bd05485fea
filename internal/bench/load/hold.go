package load

import (
	"errors"
	"io"
	"time"
)

var errAtLimit = errors.New("no greeting: the server is at its limit")

// hold opens o.Sessions, says hello on each, answers with how many it got, and
// keeps them until its input ends. The first one that is refused ends the
// opening: there would be no others.
func hold(o Order, input io.Reader, say func(Answer)) error {
	a := Answer{Began: time.Now()}
	var held []*client
	for range o.Sessions {
		c, err := dialWithin(o.Server, o.Limit)
		if err != nil {
			a.Failed++
			a.Error = err.Error()
			break
		}
		held = append(held, c)
	}
	a.Ended, a.Count = time.Now(), len(held)
	say(a)
	_, err := io.Copy(io.Discard, input)
	for _, c := range held {
		// Nobody waits for these goodbyes.
		_ = c.write([]byte("QUIT\r\n"))
		_ = c.c.Close()
	}
	return err
}

// dialWithin is dial with a short patience: a server at its limit lets
// connections wait in the kernel.
func dialWithin(server string, limit time.Duration) (*client, error) {
	type result struct {
		c   *client
		err error
	}
	dialled := make(chan result, 1)
	go func() {
		c, err := dial(server)
		dialled <- result{c, err}
	}()
	select {
	case r := <-dialled:
		return r.c, r.err
	case <-time.After(limit):
		return nil, errAtLimit
	}
}
