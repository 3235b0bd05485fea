package qmaillocal

import (
	"errors"
	"iter"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/aliases"
	"postrider/internal/dotqmail"
	"postrider/internal/fate"
)

const forwardName = ".forward"

// errForwardOwner says that a .forward file may be another's work.
var errForwardOwner = errors.New("it belongs to somebody else")

// forwardFile finds what the user's .forward file says, where control/dotforward
// is 1 and there is no .qmail file. An empty file is as good as none.
func (d *delivery) forwardFile() (found instructions, there bool, err error) {
	on, _, err := d.dotForward.Get(d.clock.Now())
	if err != nil {
		return found, false, temporary("read control/dotforward", err, "Unable to read control files. (#4.3.0)")
	}
	if on == 0 {
		return found, false, nil
	}
	text, mode, err := readInstructions(d.homeDir, forwardName)
	switch {
	case errors.Is(err, errNoFile):
		return found, false, nil
	case err != nil:
		return found, false, temporary("open "+forwardName, err, "Unable to open %s: %s. (#4.3.0)", forwardName, reason(err))
	case mode&forbiddenMode != 0:
		return found, false, temporary("check "+forwardName, nil, "Uh-oh: %s is writable. (#4.7.0)", forwardName)
	}
	if err := d.checkOwner(); err != nil {
		return found, false, err
	}
	targets, err := aliases.ParseLines(text)
	if err == nil {
		targets, err = aliases.Flatten(targets)
	}
	if err != nil {
		return found, false, fate.Temp("3.5", "Uh-oh: "+forwardName+" cannot be followed: "+printable(err)+". (#4.3.5)", "read "+forwardName, err)
	}
	if len(targets) == 0 {
		return found, false, nil
	}
	d.file = d.place(forwardName).File
	d.explain(d.place(forwardName), "%s is the file for the address", forwardName)
	return instructions{all: d.followForward(targets)}, true, nil
}

// checkOwner refuses a file that neither the user nor root has made.
func (d *delivery) checkOwner() error {
	var st unix.Stat_t
	err := unix.Fstatat(d.homeDir, forwardName, &st, 0)
	if err != nil {
		return temporary("stat "+forwardName, err, "Unable to open %s: %s. (#4.3.0)", forwardName, reason(err))
	}
	if st.Uid != 0 && int(st.Uid) != unix.Geteuid() {
		return temporary("check "+forwardName, errForwardOwner, "Uh-oh: %s belongs to somebody else. (#4.7.0)", forwardName)
	}
	return nil
}

// followForward yields the instructions of targets. The user himself is his
// mailbox.
func (d *delivery) followForward(targets []aliases.Target) iter.Seq[dotqmail.Instruction] {
	return func(yield func(dotqmail.Instruction) bool) {
		for _, t := range targets {
			if d.isSelf(t) {
				for i := range d.usual() {
					if !yield(i) {
						return
					}
				}
				continue
			}
			if i, does := d.instruction(t); does && !yield(i) {
				return
			}
		}
	}
}

// isSelf tells whether a target is the user whose file it is in.
func (d *delivery) isSelf(t aliases.Target) bool {
	switch t.Kind {
	case aliases.Name, aliases.Escaped:
		return strings.EqualFold(t.Text, d.user)
	case aliases.Address:
		return strings.EqualFold(t.Text, plainLocal(d.local)+"@"+d.domain)
	}
	return false
}

// printable is an error fit for a bounce.
func printable(err error) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, err.Error())
}
