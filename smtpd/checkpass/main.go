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
	"postrider/internal/logline"
	"postrider/internal/offspring"
	"postrider/internal/priv"
	"postrider/internal/wire/auth"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the control channel is not usable
)

const (
	logPrefix = "qmail-checkpass: "
	// atOnce is how many programs run.
	atOnce = 8
)

// daemon is the process.
type daemon struct {
	log    func(line string)
	server auth.Server
}

// Main runs qmail-checkpass until its control channel ends.
func Main(w world.World) int {
	logger := logline.NewWriter(w.Stderr)
	defer logger.Close()
	if os.Geteuid() == 0 {
		logger.Line(logPrefix + "warning: runs as root, as control/checkpassuser says: so does the program in control/checkpassword")
	}
	channel, err := parent.Inherited()
	if err == nil {
		err = forbid(w.Home)
	}
	var d *daemon
	if err == nil {
		d, err = newDaemon(w, logger.Line)
	}
	if err == nil {
		defer offspring.EndRest()
		err = d.run(channel)
	}
	if err != nil {
		logger.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}

// forbid has the kernel hold this process, and what it runs, to its user, as it
// holds programs of users. Root's program has to become somebody else.
func forbid(home string) error {
	in, err := priv.Examine(home)
	if err != nil {
		return err
	}
	policy, err := in.Policy()
	if err != nil || in.Private || policy.Off || policy.SetuidPrograms || os.Geteuid() == 0 {
		return err
	}
	nobodies, err := priv.FindNobodies(1)
	if err != nil {
		return err
	}
	return nobodies.Forbid()
}

func newDaemon(w world.World, log func(string)) (*daemon, error) {
	dir := control.Dir(filepath.Join(w.Home, "control"))
	programs, err := limits.Load(dir)
	if err == nil {
		err = programs.Bound()
	}
	if err != nil {
		return nil, err
	}
	var seldom logline.Seldom
	return &daemon{log: log, server: auth.Server{
		Verifier: checker{dir, w.Stderr, programs},
		Guard:    attempts.New(w.Clock.Now),
		Log: func(err error) {
			if note, ok := seldom.Allow(w.Clock.Now(), err); ok {
				log(logPrefix + "warning: " + err.Error() + note)
			}
		},
	}}, nil
}

// run serves until the control channel ends. A program that then runs goes on
// without us; its client is told to try again. What others have left behind ends.
func (d *daemon) run(channel *parent.Channel) error { return channel.Run(d.frame) }

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && f.Name == parent.AuthSMTPD:
		go d.serve(f.File)
	case f.File != nil:
		_ = f.File.Close() // not for us
		d.log(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-checkpass")
	}
	return nil
}

// serve answers the questions of a link.
func (d *daemon) serve(link *os.File) {
	if err := call.Serve(link, atOnce, d.server.Answer); err != nil {
		d.log(logPrefix + "warning: link to qmail-smtpd: " + err.Error())
	}
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
