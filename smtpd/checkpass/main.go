package checkpass

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"postrider/internal/attempts"
	"postrider/internal/checkpassword"
	"postrider/internal/control"
	"postrider/internal/limits"
	"postrider/internal/offspring"
	"postrider/internal/priv"
	"postrider/internal/responder"
	"postrider/internal/wire/auth"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// atOnce is how many programs run.
const atOnce = 8

// daemon is the process.
type daemon struct {
	*responder.Daemon
	server auth.Server
}

// Main runs qmail-checkpass until its control channel ends.
func Main(w world.World) int {
	return responder.Main(w, "qmail-checkpass", func(r *responder.Daemon, channel *parent.Channel) error {
		if os.Geteuid() == 0 {
			r.Say("warning: runs as root, as control/checkpassuser says: so does the program in control/checkpassword")
		} else if err := priv.ForbidOthers(w.Home); err != nil { // root's program has to become somebody else
			return err
		}
		d, err := newDaemon(w, r)
		if err != nil {
			return err
		}
		defer offspring.EndRest()
		return d.run(channel)
	})
}

func newDaemon(w world.World, r *responder.Daemon) (*daemon, error) {
	dir := control.Dir(filepath.Join(w.Home, "control"))
	programs, err := limits.Load(dir)
	if err == nil {
		err = programs.Bound()
	}
	if err != nil {
		return nil, err
	}
	return &daemon{r, auth.Server{Verifier: checker{dir, w.Stderr, programs}, Guard: attempts.New(w.Clock.Now), Log: r.Warn}}, nil
}

// run serves until the control channel ends. A program that then runs goes on
// without us; its client is told to try again. What others have left behind ends.
func (d *daemon) run(channel *parent.Channel) error { return channel.Run(d.frame) }

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && f.Name == parent.AuthSMTPD:
		go d.Respond(f.File, "qmail-smtpd", atOnce, d.server.Answer)
	default:
		d.Stray(f)
	}
	return nil
}

// checker asks the program in control/checkpassword. It is an auth.Verifier.
type checker struct {
	control  control.Dir
	log      *os.File
	programs limits.Limits
}

var errNoSCRAM = errors.New("a checkpassword program knows nothing of SCRAM")

// Mechanisms are those that have the password at hand. Whether the program does
// CRAM-MD5 is said by control/authcram.
func (checker) Mechanisms() auth.Mechanisms { return auth.Passwords | auth.CRAMMD5 }

// Password has a password checked.
func (c checker) Password(a auth.Attempt, password []byte) (bool, error) {
	return c.check(a, password, nil)
}

// CRAM has the answer to a challenge checked.
func (c checker) CRAM(a auth.Attempt, challenge, digest []byte) (bool, error) {
	return c.check(a, []byte(hex.EncodeToString(digest)), challenge)
}

// Salt and Proof are not for it.
func (checker) Salt(auth.Attempt) ([]byte, uint32, error) { return nil, 0, errNoSCRAM }

// Proof is not for it.
func (checker) Proof(auth.Attempt, []byte, []byte) ([]byte, bool, error) {
	return nil, false, errNoSCRAM
}

func (c checker) check(a auth.Attempt, password, challenge []byte) (bool, error) {
	line, err := c.control.Line("checkpassword", "")
	if err != nil {
		return false, err
	}
	argv, err := checkpassword.Parse(line)
	if err != nil {
		return false, fmt.Errorf("control/checkpassword %w", err)
	}
	// vchkpw tells by the port that it is asked for SMTP.
	program := checkpassword.Program{Argv: argv, Limit: checkpassword.Limit, Log: c.log, StartBy: c.programs.Start,
		Environ: []string{"PROTO=TCP", "TCPLOCALPORT=25", "TCPREMOTEIP=" + a.Client}}
	return program.Check(a.User, password, challenge)
}
