package qmqpc

import (
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"postrider/internal/world"
)

// Main is qmail-qmqpc.
func Main(w world.World) int {
	// A server that hangs up is an error of write; nothing is started from here
	// that would inherit this.
	signal.Ignore(syscall.SIGPIPE)
	err := run(w)
	if code, ok := err.(failure); ok {
		return int(code)
	}
	return exitOK
}

func run(w world.World) error {
	if unix.Access(w.Home, unix.X_OK) != nil {
		return failure(exitHome)
	}
	servers, err := readServers(w.Home)
	if err != nil {
		return err
	}
	if world.MadeByRuntime(w.Stdin) {
		return failure(exitRead)
	}
	// Descriptor 1 is an input: the envelope.
	request, err := readRequest(w.Stdin, w.Stdout)
	if err != nil {
		return err
	}
	return sendToFirst(servers, request)
}
