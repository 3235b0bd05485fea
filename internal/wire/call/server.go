package call

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
)

// Serve answers the questions of a link, which it owns, until that ends: then
// it returns nil once every handle has returned. handle runs in goroutines of
// its own, at most so many at a time; while all are busy no question is read.
// An answer is 1 to MaxBody bytes; with none the question stays unanswered.
func Serve(f *os.File, most int, handle func(question []byte) (answer []byte)) error {
	link, err := fdpass.NewPackets(f)
	if err != nil {
		_ = f.Close() // was only received
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer link.Close()
	places := make(chan struct{}, most)
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, _, err := link.Receive(buf, 0)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		number, body, err := parse(buf[:n])
		if err != nil {
			return fmt.Errorf("question: %w", err)
		}
		question := bytes.Clone(body)
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			answer := handle(question)
			if len(answer) == 0 || len(answer) > MaxBody {
				return
			}
			if err := link.Send(appendPacket(nil, number, answer)); err != nil && !errors.Is(err, unix.EPIPE) {
				_ = link.Close() // the peer sees that no answer comes, and Receive ends
			}
		})
	}
}
