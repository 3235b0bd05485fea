package commands

import (
	"errors"
	"io"
	"strings"

	"postrider/internal/enqueue"
	"postrider/internal/fate"
	"postrider/internal/world"
)

// Forward is forward: it sends a message on to the addresses it is given.
func Forward(w world.World) int {
	sender, ok := w.Getenv("NEWSENDER")
	if !ok {
		return fail(w, "forward", exitNever, "NEWSENDER is not set: qmail-local sets it for the programs in .qmail files")
	}
	return send(w, "forward", sender, w.Args[1:])
}

// send queues the message behind the line of this delivery, by which a loop is
// known when it comes here again.
func send(w world.World, program, sender string, recipients []string) int {
	deliveredTo, ok := w.Getenv("DTLINE")
	if !ok {
		return fail(w, program, exitNever, "DTLINE is not set: qmail-local sets it for the programs in .qmail files")
	}
	queueProgram, _ := w.Getenv("QMAILQUEUE")
	s, err := enqueue.Begin(enqueue.Options{Home: w.Home, QueueProgram: queueProgram, Environ: w.Environ})
	if err != nil {
		return refused(w, program, err)
	}
	defer s.Abort()
	message := &watched{r: w.Stdin}
	if _, err := io.Copy(s, io.MultiReader(strings.NewReader(deliveredTo), message)); err != nil {
		if message.err != nil {
			return fail(w, program, exitLater, "unable to read the message: "+message.err.Error())
		}
		return refused(w, program, err)
	}
	if err := s.Sender(sender); err != nil {
		return refused(w, program, err)
	}
	for _, r := range recipients {
		if err := s.Recipient(r); err != nil {
			return refused(w, program, err)
		}
	}
	qp, err := s.Commit()
	if err != nil {
		return refused(w, program, err)
	}
	_, _ = io.WriteString(w.Stderr, program+": qp "+qp+"\n")
	return exitDone
}

// refused says what the queue said.
func refused(w world.World, program string, err error) int {
	var e *fate.Error
	if !errors.As(err, &e) {
		return fail(w, program, exitLater, err.Error())
	}
	code := exitLater
	if e.Class == fate.Permanent {
		code = exitNever
	}
	return fail(w, program, code, e.Text)
}

// watched remembers that reading failed: io.Copy does not say which side.
type watched struct {
	r   io.Reader
	err error
}

func (s *watched) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
