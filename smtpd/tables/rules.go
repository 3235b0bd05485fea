package tables

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"postrider/internal/cdb"
	"postrider/internal/tcprules"
	"postrider/internal/world"
)

// Rules is tcprules: it compiles the rules on standard input into a database
// for tcpserver or control/tcp.smtp.cdb.
func Rules(w world.World) int {
	if len(w.Args) < 3 {
		fmt.Fprint(w.Stderr, "tcprules: usage: tcprules rules.cdb rules.tmp\n")
		return exitWrong
	}
	unix.Umask(umask)
	path, tmp := w.Args[1], w.Args[2]
	var bad, unread error
	err := cdb.Replace(path, tmp, dbMode, func(db *cdb.Writer) error {
		var added error
		unread = eachLine(w.Stdin, func(number int, line string) error {
			r, err := tcprules.ParseRecords(line)
			if err != nil {
				bad = fmt.Errorf("unable to parse this line: %s\n(line %d: %w)", line, number, err)
				return bad
			}
			for _, key := range r.Keys {
				if added = db.Add([]byte(key), []byte(r.Data)); added != nil {
					return added
				}
			}
			return nil
		})
		if bad != nil || added != nil {
			unread = nil
		}
		return errors.Join(bad, added, unread)
	})
	switch {
	case bad != nil:
		fmt.Fprintf(w.Stderr, "tcprules: fatal: %v\n", bad)
		return exitWrong
	case unread != nil:
		fmt.Fprintf(w.Stderr, "tcprules: fatal: unable to read rules: %v\n", unread)
		return exitLater
	case err != nil:
		fmt.Fprintf(w.Stderr, "tcprules: fatal: unable to write to %s: %v\n", tmp, err)
		return exitLater
	}
	return exitDone
}
