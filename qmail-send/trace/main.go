package trace

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"postrider/internal/logread"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitFound     = 0
	exitNotFound  = 1
	exitMisused   = 100
	exitTemporary = 111 // a log cannot be read
)

const usage = "qmail-trace: usage: qmail-trace [--raw | --json] ID|ADDRESS [FILE|DIRECTORY|-]...\n"

// Main is qmail-trace.
func Main(w world.World) int {
	options := flag.NewFlagSet("qmail-trace", flag.ContinueOnError)
	options.SetOutput(w.Stderr)
	options.Usage = func() { _, _ = fmt.Fprint(w.Stderr, usage) }
	raw := options.Bool("raw", false, "")
	json := options.Bool("json", false, "")
	if err := options.Parse(w.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return exitFound
	} else if err != nil {
		return exitMisused
	}
	what := strings.TrimPrefix(strings.Trim(options.Arg(0), "<>"), "#")
	if what == "" || *raw && *json || !logread.IsID(what) && !strings.Contains(what, "@") {
		_, _ = fmt.Fprint(w.Stderr, usage)
		return exitMisused
	}
	count, err := trace(w, what, options.Args()[1:], *raw, *json)
	switch {
	case err != nil:
		_, _ = fmt.Fprintf(w.Stderr, "qmail-trace: fatal: %v\n", err)
		return exitTemporary
	case count == 0:
		_, _ = fmt.Fprintf(w.Stderr, "qmail-trace: %s is not in the log\n", what)
		return exitNotFound
	}
	return exitFound
}

// trace finds and writes all stories, and returns how many there are.
func trace(w world.World, what string, names []string, raw, json bool) (int, error) {
	s, err := openSources(names, w.Stdin)
	if err != nil {
		return 0, err
	}
	defer s.close()
	lines, more, err := newFinder(what, w.Clock.Now()).collect(s)
	if err != nil {
		return 0, err
	}
	for _, path := range slices.Sorted(maps.Keys(s.cut)) {
		_, _ = fmt.Fprintf(w.Stderr, "qmail-trace: warning: %s is read up to where it is damaged: %v\n", path, s.cut[path])
	}
	if more {
		_, _ = fmt.Fprintf(w.Stderr, "qmail-trace: warning: there is more than the %d lines that are shown\n", maxLines)
	}
	out := bufio.NewWriter(w.Stdout)
	list := stories(lines)
	for i, story := range list {
		if i > 0 && !json {
			_, _ = out.WriteString("\n") // an error stays until Flush
		}
		if err := write(out, story, raw, json); err != nil {
			return 0, err
		}
	}
	return len(list), out.Flush()
}

func write(out *bufio.Writer, story []found, raw, json bool) error {
	if !raw && !json {
		return tell(out, story)
	}
	for _, one := range story {
		text := []byte(one.raw + "\n")
		if json {
			text = one.AppendJSON(nil, one.at)
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	return nil
}
