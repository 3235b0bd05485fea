package commands

import (
	"io"
	"os"
	"strings"

	"postrider/internal/getopt"
	"postrider/internal/world"
)

// Preline is preline: it puts the lines of a delivery, in the order From_,
// Return-Path, Delivered-To, before the message and hands it to a program.
func Preline(w world.World) int {
	const how = "preline [-frdFRD] program [arg ...]"
	opts, argv, err := getopt.Parse(w.Args[1:], "frdFRD")
	if err != nil || len(argv) == 0 {
		return usage(w, how)
	}
	lines := []struct {
		variable string
		letter   byte
		leave    bool
	}{{"UFLINE", 'f', false}, {"RPLINE", 'r', false}, {"DTLINE", 'd', false}}
	for _, o := range opts {
		for i := range lines {
			if o.Letter|0x20 == lines[i].letter {
				lines[i].leave = o.Letter == lines[i].letter
			}
		}
	}
	var before strings.Builder
	for _, l := range lines {
		text, set := w.Getenv(l.variable)
		if !set {
			return fail(w, "preline", exitNever, l.variable+" is not set: qmail-local sets it for the programs in .qmail files")
		}
		if !l.leave {
			before.WriteString(text)
		}
	}
	return feed(w, "preline", before.String(), argv)
}

// feed runs a program with some text and then the message as its input, and
// exits as it does.
func feed(w world.World, program, before string, argv []string) int {
	r, into, err := os.Pipe()
	if err != nil {
		return fail(w, program, exitLater, "unable to create a pipe: "+err.Error())
	}
	p, err := start(w, argv, r)
	_ = r.Close() // the program has its own
	if err != nil {
		_ = into.Close() // nobody reads it
		return fail(w, program, exitOf(err), err.Error())
	}
	message := &watched{r: w.Stdin}
	// A program that does not read it all knows what it does.
	_, _ = io.Copy(into, io.MultiReader(strings.NewReader(before), message))
	if message.err != nil {
		_ = p.Kill() // before it takes the end of the pipe for that of the message
	}
	_ = into.Close()
	code, crashed, err := wait(p)
	switch {
	case message.err != nil:
		return fail(w, program, exitLater, "unable to read the message: "+message.err.Error())
	case err != nil:
		return fail(w, program, exitLater, "unable to wait for "+argv[0]+": "+err.Error())
	case crashed:
		return fail(w, program, exitLater, argv[0]+" crashed")
	}
	return code
}
