package smtpd

import (
	"encoding/hex"
	"errors"
	"time"

	"postrider/internal/checkpassword"
	"postrider/internal/wire/auth"
	"postrider/internal/world"
)

// refusalTime is how long qmail lets a client wait whose password is wrong. Under
// tcpserver nobody counts from one connection to the next.
const refusalTime = 5 * time.Second

var errNoSCRAM = errors.New("a checkpassword program knows nothing of SCRAM")

// authProgram is the checker of the classic form: the command line that
// qmail-smtpd was given (spec section 6.7).
type authProgram struct{ checkpassword.Program }

// newAuthProgram returns nil if there is no command line, and an error if it
// names no program by its full path.
func newAuthProgram(w world.World) (checker, error) {
	argv := w.Args[1:]
	if len(argv) == 0 {
		return nil, nil
	}
	if _, err := checkpassword.Parse(argv[0]); err != nil {
		return nil, errors.New("the command line " + err.Error())
	}
	return authProgram{checkpassword.Program{Argv: argv, Environ: w.Environ, Limit: checkpassword.Limit, Log: w.Stderr}}, nil
}

func (authProgram) present() bool { return true }

func (authProgram) mechanisms() auth.Mechanisms { return auth.Passwords | auth.CRAMMD5 }

// Password has a password checked.
func (p authProgram) Password(a auth.Attempt, password []byte) (auth.Verdict, error) {
	return p.verdict(a, password, nil)
}

// CRAM has the answer to a challenge checked.
func (p authProgram) CRAM(a auth.Attempt, challenge, digest []byte) (auth.Verdict, error) {
	return p.verdict(a, []byte(hex.EncodeToString(digest)), challenge)
}

func (p authProgram) verdict(a auth.Attempt, password, challenge []byte) (auth.Verdict, error) {
	ok, err := p.Check(a.User, password, challenge)
	return auth.Verdict{OK: ok, Wait: refusalTime}, err
}

// Salt is not for it.
func (authProgram) Salt(auth.Attempt) ([]byte, uint32, error) { return nil, 0, errNoSCRAM }

// Proof is not for it.
func (authProgram) Proof(auth.Attempt, []byte, []byte) (auth.Verdict, error) {
	return auth.Verdict{}, errNoSCRAM
}
