package queuecheck

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
)

const (
	// staleAge is when qmail-spool removes what nobody finishes, and unackedAge
	// what was torn.
	staleAge   = 36 * time.Hour
	unackedAge = 7 * 24 * time.Hour
	// dropPrefix begins the names in bad/ of files of drop/, foundPrefix those of
	// what repair has found.
	dropPrefix  = "drop."
	foundPrefix = "found."
)

// tmpName is a name in tmp/.
func (c *check) tmpName(p place, st *unix.Stat_t) []Finding {
	path := p.path()
	age := c.Clock.Now().Sub(modified(st))
	switch {
	case c.full(path) == c.Layout.Answered() && isRegular(st):
		return nil
	case isDir(st):
		return []Finding{unknown(path)}
	case !c.running:
		return []Finding{own(path, Leftover, "is what was being received; nobody was told that it is accepted", "qmail-spool removes it at its start", "nothing")}
	case !isRegular(st):
		return []Finding{own(path, Leftover, "is "+typeOf(st), "qmail-spool removes it at its next start", "nothing")}
	case age > staleAge:
		return []Finding{own(path, Leftover, fmt.Sprintf("was being received %v ago", age.Round(time.Hour)), "qmail-spool removes it within an hour", "nothing").passes()}
	}
	if c.counting {
		c.sum.Receiving++
	}
	return nil
}

// badName is a name in bad/.
func (c *check) badName(p place, st *unix.Stat_t) []Finding {
	path := p.path()
	const stays = "it stays until somebody takes it away"
	aside := func(what, do string) []Finding { return []Finding{hands(path, Aside, what, stays, do)} }
	if c.isMade(path) {
		return nil
	}
	if strings.HasPrefix(p.name, foundPrefix) {
		return aside("was found where nothing of the suite is, and moved here", "look at it, and take it away")
	}
	if queuedir.IsDropName(strings.TrimPrefix(p.name, dropPrefix)) && strings.HasPrefix(p.name, dropPrefix) {
		return aside("is a message of a program that was left in drop/ and is damaged", "look at it, and take it away")
	}
	number, isBody := strings.CutSuffix(p.name, queuedir.BodySuffix)
	id, ok := badID(number)
	switch {
	case !ok || !isRegular(st):
		return []Finding{hands(path, Unknown, "is nothing that the suite has made", "it stays", "take it away")}
	case isBody && c.exists("bad/"+number):
		return nil // told of together
	case isBody:
		return aside("is the body of a message whose entry is not there",
			"put "+c.entry(id)+" back from a backup while the suite is stopped, and this beside it; or take it away")
	}
	return aside(c.why(id, path))
}

// badID is the number of a message in bad/, of which there may be several.
func badID(name string) (queuedir.ID, bool) {
	number, n, several := strings.Cut(name, ".")
	id, err := queuedir.ParseID(number)
	if several && (n == "" || len(n) > 2 || strings.Trim(n, "0123456789") != "") {
		return id, false
	}
	return id, err == nil
}

// why says why an entry is in bad/, as far as it can be seen, and what to do.
func (c *check) why(id queuedir.ID, path string) (what, do string) {
	err := c.whole(id, path)
	switch {
	case errors.Is(err, queuedir.ErrTorn), errors.Is(err, queuedir.ErrDamaged):
		return "was set aside: " + c.reason(path, err), "put a sound one from a backup into " + c.entry(id) + " while the suite is stopped; then take this one away"
	case err != nil:
		return "cannot be read: " + c.reason(path, err), "look at it, and take it away"
	}
	what = "is a whole message"
	do = "move it, and its body, into " + c.below(c.Layout.NewDir(id.Bucket())) + " while the suite is stopped: it is delivered to all"
	if c.exists(c.info(id) + keptSuffix) {
		what += " that was set aside for its progress, " + c.info(id) + keptSuffix
		do += ", also to those who have it by that progress"
	}
	return what, do
}

// whole checks an entry that is not in its place.
func (c *check) whole(id queuedir.ID, path string) error {
	f, err := queuedir.OpenFile(c.full(path))
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	body, err := fileOrNil(c.full(path) + queuedir.BodySuffix)
	if err != nil {
		return err
	}
	if body != nil {
		defer body.Close() // only read from
	}
	entry, err := queuedir.HandedEntry(id, f, body)
	if err != nil {
		return err
	}
	defer entry.Close()
	if !entry.Footer.Inline && body == nil {
		return fmt.Errorf("%w: its body is missing", queuedir.ErrTorn)
	}
	if _, err := entry.CountRecipients(); err != nil {
		return err
	}
	return entry.CheckBody()
}

// unackedName is a name in bad/unacked.
func (c *check) unackedName(p place, st *unix.Stat_t) []Finding {
	if !isRegular(st) {
		return []Finding{hands(p.path(), Unknown, "is "+typeOf(st), "it stays", "take it away")}
	}
	end := changed(st).Add(unackedAge).UTC().Format(time.DateOnly)
	return []Finding{own(p.path(), Unacked, "is not whole, and nobody was told that it is accepted", "qmail-spool removes it after "+end,
		"if it came with part of a backup, take it from another one")}
}
