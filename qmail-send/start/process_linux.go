package start

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"postrider/internal/footprint"
	"postrider/internal/priv"
)

// process is a running child.
type process interface {
	pid() int
	signal(syscall.Signal) error
	// wait returns how it ended. It is called once.
	wait() (syscall.WaitStatus, error)
}

// launcher starts the program of a member. control is the daemon's end of its
// control channel, nil for the logger; the caller closes it.
type launcher interface {
	launch(m *member, control *os.File) (process, error)
}

// machine launches real processes.
type machine struct {
	home    string
	null    *os.File
	sendLog *os.File // descriptor 2 of qmail-send
	log     *os.File // descriptor 2 of the others
	logger  *logger  // nil if there is none
	// identities are by program; nil in a private installation.
	identities map[string]priv.Identity
	// setuidPrograms says that what those start who start programs may get more.
	setuidPrograms bool
}

func (h *machine) launch(m *member, control *os.File) (process, error) {
	attr := &os.ProcAttr{
		Dir: "/",
		Env: []string{}, // nil would be our own
		Sys: &syscall.SysProcAttr{Setsid: true},
	}
	path, args := filepath.Join(h.home, "bin", m.role.Program), []string{m.role.Program}
	switch {
	case control == nil:
		path, args = h.logger.path, h.logger.args
		attr.Files = []*os.File{h.logger.read, h.logger.stdout, h.logger.stderr}
	case m.role.Program == "qmail-send":
		attr.Files = []*os.File{h.null, h.null, h.sendLog, control}
	default:
		attr.Files = []*os.File{h.null, h.null, h.log, control}
	}
	if id, separated := h.identities[m.role.Program]; separated {
		attr.Sys.Credential = &syscall.Credential{Uid: id.UID, Gid: id.GID, Groups: id.Groups}
		attr.Sys.AmbientCaps = m.role.Caps
	}
	startProcess := footprint.StartDaemon
	if control == nil {
		startProcess = footprint.StartProgram
	}
	started := priv.WatchStart()
	defer started()
	var p *os.Process
	err := h.bound(m.role, func() (err error) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		mask(unix.SIG_UNBLOCK) // the program began with them blocked if replace executed it
		p, err = startProcess(path, args, attr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return child{p}, nil
}

// bound starts a child that can get no capability but those of its role.
func (h *machine) bound(role priv.Role, start func() error) error {
	if h.identities == nil || h.setuidPrograms && !role.Confined {
		return start()
	}
	return priv.Bound(role.Caps, start)
}

// child is a process of the kernel's.
type child struct{ *os.Process }

func (c child) pid() int { return c.Pid }

func (c child) signal(s syscall.Signal) error { return c.Signal(s) }

func (c child) wait() (syscall.WaitStatus, error) {
	state, err := c.Wait()
	if err != nil {
		return 0, err
	}
	return state.Sys().(syscall.WaitStatus), nil
}
