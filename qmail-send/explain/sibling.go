package explain

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/wire/steps"
)

// patience is how long a program has for an answer: longer than name servers.
const patience = 90 * time.Second

// errRights says that a program cannot be run as who it runs as for mail.
var errRights = errors.New("only root can look there")

// identity is as whom a program is run; nil is as who we are.
type identity = *priv.Identity

// siblings are the programs that are asked. They stay for the next question, but
// qmail-local, of which only the last one does: there may be many users.
type siblings struct {
	home, control string
	running       map[string]*sibling
}

// sibling is one of them.
type sibling struct {
	cmd     *exec.Cmd
	in      *os.File
	out     *os.File
	answers *steps.Reader
}

// ask asks a program, as somebody.
func (p *siblings) ask(program string, as identity, fields ...string) (steps.Answer, error) {
	who := ""
	if as != nil {
		who = fmt.Sprintf("%d:%d", as.UID, as.GID)
	}
	key := program + " " + who
	s := p.running[key]
	if s == nil {
		if program == "qmail-local" {
			p.endAll(program)
		}
		var err error
		if s, err = p.start(program, as); err != nil {
			return steps.Answer{}, fmt.Errorf("%s cannot be asked: %w", program, err)
		}
		p.running[key] = s
	}
	a, err := s.ask(fields)
	if err != nil {
		s.end()
		delete(p.running, key)
		return a, fmt.Errorf("%s gives no answer: %w", program, err)
	}
	return a, nil
}

func (p *siblings) start(program string, as identity) (*sibling, error) {
	questions, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer questions.Close()
	out, answers, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	defer answers.Close()
	cmd := exec.Command(filepath.Join(p.home, "bin", program), steps.Option, p.control)
	cmd.Args[0] = program
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.Stdin, cmd.Stdout = questions, answers
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if as != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: as.UID, Gid: as.GID, Groups: as.Groups}
	}
	footprint.UsualTimers(func() { err = cmd.Start() })
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	return &sibling{cmd: cmd, in: in, out: out, answers: steps.NewReader(out)}, nil
}

func (s *sibling) ask(fields []string) (steps.Answer, error) {
	limit := time.Now().Add(patience)
	if err := errors.Join(s.in.SetWriteDeadline(limit), s.out.SetReadDeadline(limit)); err != nil {
		return steps.Answer{}, err
	}
	if _, err := s.in.Write(steps.AppendQuestion(nil, fields...)); err != nil {
		return steps.Answer{}, err
	}
	return s.answers.Answer()
}

// end ends a program. How it ends does not matter: it changes nothing.
func (s *sibling) end() {
	_ = s.in.Close()
	_ = s.out.Close()
	_ = s.cmd.Process.Kill()
	go func() { _ = s.cmd.Wait() }() // it may hang in a home that does not answer
}

// endAll ends the programs of a name, or all.
func (p *siblings) endAll(program string) {
	for key, s := range p.running {
		if program == "" || filepath.Base(s.cmd.Path) == program {
			s.end()
			delete(p.running, key)
		}
	}
}
