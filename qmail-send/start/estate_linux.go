package start

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/handover"
	"postrider/internal/logline"
	"postrider/internal/priv"
	"postrider/internal/queuelock"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// estate is what goes from one qmail-start to the next beside the members and
// the sockets of the network.
type estate struct {
	lock   *os.File // of the queue
	public sockets
	logger *logger // nil: there is none
}

func (e *estate) close() {
	e.public.close()
	if e.lock != nil {
		_ = e.lock.Close() // a directory
	}
}

// establish makes the estate of a suite that begins. Without an error and without
// a lock a signal has ended the wait for it.
func establish(w world.World, spoolOwner *priv.Identity, stderr *logline.Writer, signals <-chan os.Signal) (e estate, err error) {
	if e.lock, err = waitForLock(w, spoolOwner, stderr, signals); err != nil || e.lock == nil {
		return e, err
	}
	e.public, err = listenPublic(w.Home, spoolOwner)
	return e, err
}

// inheritance is what a predecessor has left.
type inheritance struct {
	handover.State
	begun bool // it was executed in its place, and is not only asked
}

// takeHandOver reads what a predecessor has left; nil if there was none.
// Whatever becomes of it, none of its descriptors goes on to a child.
func takeHandOver(environ []string, pid int) (*inheritance, error) {
	fds, err := handover.Descriptors(environ, pid)
	if err != nil || fds == nil {
		return nil, err
	}
	given := make(map[int]bool)
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		given[fd] = true
	}
	text, err := readText(fds[0])
	if err != nil {
		return nil, fmt.Errorf("hand-over: %w", err)
	}
	state, err := handover.Parse(text)
	if err != nil {
		return nil, err
	}
	if err := suits(state); err != nil {
		return nil, err
	}
	in := &inheritance{State: state, begun: !handover.IsCheck(environ)}
	for _, fd := range state.Files() {
		if in.begun && !given[fd] {
			return nil, fmt.Errorf("%w: descriptor %d was not handed over", handover.ErrText, fd)
		}
	}
	return in, nil
}

// readText reads the text from the beginning of its file, whose end is sealed.
func readText(fd int) ([]byte, error) {
	f := os.NewFile(uintptr(fd), "hand-over")
	defer f.Close()
	text := make([]byte, handover.MaxText+1)
	n, err := f.ReadAt(text, 0)
	if n == len(text) {
		return nil, errors.New("it is too long")
	}
	if n == 0 {
		return nil, err
	}
	return text[:n], nil
}

// suits tells whether all who run can work with the programs of this release.
func suits(state handover.State) error {
	for _, m := range state.Members {
		if !parent.Adjacent(m.Speaks) {
			return &parent.VersionError{Link: fmt.Sprintf("%s (pid %d)", m.Name, m.PID), Got: m.Speaks}
		}
	}
	return nil
}

// estate takes over what the text speaks of.
func (in *inheritance) estate(w world.World, set settings) (e estate, err error) {
	if e.lock, err = takeFile(in.Lock, "queue/lock"); err != nil {
		return e, err
	}
	// It is held already: this tells only whether it is that lock.
	if err := queuelock.Try(e.lock); err != nil {
		return e, fmt.Errorf("lock of the queue: %w", err)
	}
	if e.public.public, err = takeListener(in.Public, publicSocket); err != nil {
		return e, err
	}
	if e.public.manage, err = takeListener(in.Manage, manageSocket); err != nil {
		return e, err
	}
	e.logger, err = in.takeLogger(w, set)
	return e, err
}

// takeLogger takes over the log program: a pipe with its end at the one that
// runs. One of the suite's own is replaced, and gets a pipe of its own: the
// other reads what the predecessor's daemons write until they are gone. A
// program of others runs on, with qmail-logjson if that is in front of it; a
// second one might wait for a lock of the first.
func (in *inheritance) takeLogger(w world.World, set settings) (*logger, error) {
	if !set.hasLogger() {
		return nil, nil
	}
	l, err := findLogger(w, set)
	if err != nil {
		return nil, err
	}
	if !in.Logger {
		return l, l.pipe()
	}
	read, write := os.NewFile(uintptr(in.LogRead), "log"), os.NewFile(uintptr(in.LogWrite), "log")
	if l.isOwn(w.Home) {
		_, _ = read.Close(), write.Close() // others have them
		return l, l.pipe()
	}
	l.read, l.write = read, write
	return l, nil
}

// isOwn reports whether the program is one of the suite's.
func (l *logger) isOwn(home string) bool { return filepath.Dir(l.behind) == filepath.Join(home, "bin") }

// takeFile takes over a descriptor of a file.
func takeFile(fd int, name string) (*os.File, error) {
	f, err := fdpass.Inherit(fd, name)
	if err != nil {
		return nil, fmt.Errorf("hand-over: %w", err)
	}
	return f, nil
}

// takeListener takes over a descriptor of a Unix socket that listens.
func takeListener(fd int, name string) (*os.File, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err == nil && listens == 0 {
		err = unix.EINVAL
	}
	if err != nil {
		return nil, fmt.Errorf("hand-over: descriptor %d (%s): %w", fd, name, err)
	}
	return takeFile(fd, name)
}

// sockets takes over the listening sockets of the network.
func (in *inheritance) sockets() (list []inheritedSocket, err error) {
	for _, fd := range in.Sockets {
		socket, err := takeOver(fd)
		if err != nil {
			return nil, fmt.Errorf("hand-over: descriptor %d: %w", fd, err)
		}
		socket.takenOver = true
		list = append(list, socket)
	}
	return list, nil
}

// state is what a successor is left.
func (s *supervisor) state() (state handover.State, err error) {
	number := func(f *os.File) int {
		fd, fdErr := fdpass.Descriptor(f)
		err = errors.Join(err, fdErr)
		return fd
	}
	state = handover.State{
		Speaks: parent.Version,
		Lock:   number(s.estate.lock), Public: number(s.estate.public.public), Manage: number(s.estate.public.manage),
	}
	if l := s.estate.logger; l != nil {
		state.Logger, state.LogRead, state.LogWrite = true, number(l.read), number(l.write)
	}
	for _, f := range s.doors.open {
		state.Sockets = append(state.Sockets, number(f))
	}
	for _, m := range s.plan.members {
		if m.proc == nil {
			continue // the successor starts it
		}
		told := handover.Member{Name: m.name, PID: m.proc.pid(), Channel: -1, Speaks: m.speaks, Until: m.until()}
		if m.lines != nil {
			fd, fdErr := m.lines.Descriptor()
			told.Channel, err = fd, errors.Join(err, fdErr)
		}
		state.Members = append(state.Members, told)
	}
	areas, areasErr := s.handAreas()
	state.Areas = areas
	return state, errors.Join(err, areasErr)
}

// takeMembers puts those who run into the places of the plan. They are of the
// program before, and are replaced one after the other; one that has no place,
// or is not the only one of its place, ends when it has nothing to do.
func (s *supervisor) takeMembers(members []handover.Member, open func(pid int) (process, error)) error {
	for _, told := range members {
		proc, err := open(told.PID)
		if err != nil {
			return fmt.Errorf("hand-over: %s (pid %d): %w", told.Name, told.PID, err)
		}
		m := s.plan.place(told.Name)
		if m == nil || m.proc != nil || !told.Until.IsZero() || m.order == stopLogger && s.newLogger {
			m = s.plan.addLeaving(told.Name, m, told.Until)
		}
		m.proc, m.speaks, m.old, m.started = proc, told.Speaks, true, s.clock.Now()
		s.takeArea(m)
		if told.Channel >= 0 {
			if m.lines, err = parent.HandedOver(told.Channel); err != nil {
				return fmt.Errorf("hand-over: channel of %s: %w", told.Name, err)
			}
			m.pulse.listens = true
		}
		s.await(proc)
	}
	s.takeRest()
	return nil
}

// until is what a text says of how long a member has that only leaves.
func (m *member) until() time.Time {
	if m.leaving == nil || !m.leaving.drains {
		return time.Time{}
	}
	return m.leaving.until
}
