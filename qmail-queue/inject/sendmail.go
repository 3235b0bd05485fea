package inject

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"postrider/internal/getopt"
	"postrider/internal/world"
)

const sendmailUsage = "sendmail: usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ -bv ] [ -bt ] [ arg ... ]"

// Exit codes of sysexits.
const (
	exitUsage  = 64
	exitData   = 65
	exitNoUser = 67 // -bv: some mail would be refused or bounced
	exitOS     = 71
	exitUnsure = 75 // -bv: some would wait, or that is not known
)

// sysExits are what callers of sendmail know: mailers that run it as a program,
// too, take 71 for trouble that passes and the others for good, as qmail-local
// does. Trouble is not 75: that says that the message is queued and was not sent
// yet, which PHP takes for success.
var sysExits = exits{exitUsage, exitData, exitOS}

// sendmail is one run of the program.
type sendmail struct {
	w    world.World
	req  request
	mode runMode
	// -q: the queue runs by itself, so with nothing else to do this is done.
	queueRun bool
}

// Sendmail is sendmail. Called by the name mailq or newaliases it is that.
func Sendmail(w world.World) int {
	s := &sendmail{w: w, req: request{program: "sendmail", source: fromArguments}}
	switch filepath.Base(w.Args[0]) {
	case "mailq":
		return s.showQueue()
	case "newaliases":
		return NewAliases(w)
	}
	if wrong := s.options(w.Args[1:]); wrong != "" {
		say(w.Stderr, "sendmail: "+wrong+"\n"+sendmailUsage)
		return sysExits.misused
	}
	if s.mode.start != nil {
		return s.mode.start(s)
	}
	if s.req.source == fromArguments && len(s.req.recipients) == 0 {
		if s.queueRun {
			return exitDone
		}
		// qmail's sendmail takes such a message and forgets it (R48).
		say(w.Stderr, "sendmail: no recipients: name them, or use -t to take those of the header\n"+sendmailUsage)
		return sysExits.misused
	}
	return report(w.Stderr, s.req.program, sysExits, run(w, s.req))
}

// options reads the command line; wrong is the complaint about it.
func (s *sendmail) options(args []string) (wrong string) {
	opts, rest, err := getopt.Parse(args, optionLetters())
	for _, o := range opts {
		f := findFlag(o.Letter)
		switch f.effect {
		case headerToo:
			s.req.source = fromBoth
		case sender:
			s.req.sender = &o.Value
			s.req.fromFollows = true
		case fullName:
			s.req.fullName = o.Value
		case runQueue:
			s.queueRun = true
		case rebuild:
			s.mode, _ = findMode("i")
		case mode:
			m, known := findMode(o.Value)
			if !known {
				return "unknown mode -b" + shown(o.Value)
			}
			if m.why != "" {
				return "-b" + m.name + ": " + m.why
			}
			s.mode = m
		case notify, returns, envid:
			if err := s.req.facts.take(f.effect, o.Value); err != nil {
				return "-" + string([]byte{f.letter}) + " " + shown(o.Value) + ": " + err.Error()
			}
		case refused:
			return "-" + string([]byte{f.letter}) + ": " + f.why
		}
	}
	s.req.recipients = rest
	if err != nil {
		return err.Error()
	}
	return ""
}

func (s *sendmail) newAliases() int { return NewAliases(s.w) }

func (s *sendmail) showQueue() int {
	return s.become("qmail-qread", s.w.Environ)
}

// speakSMTP becomes qmail-smtpd for whoever started sendmail: relaying is
// allowed, since it goes no further than the arguments would (spec section 7.2).
func (s *sendmail) speakSMTP() int {
	env := s.w.Environ
	if _, set := s.w.Getenv("PROTO"); !set {
		ours := []string{
			"RELAYCLIENT=", "DATABYTES=0", "PROTO=TCP",
			"TCPLOCALIP=127.0.0.1", "TCPLOCALHOST=localhost",
			"TCPREMOTEIP=127.0.0.1", "TCPREMOTEHOST=localhost", "TCPREMOTEINFO=sendmail-bs",
		}
		env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
			name, _, _ := strings.Cut(entry, "=")
			return slices.ContainsFunc(ours, func(o string) bool { return strings.HasPrefix(o, name+"=") })
		})
		env = append(env, ours...)
	}
	return s.become("qmail-smtpd", env)
}

// verify is -bv: qmail-explain says what would become of mail for the arguments.
func (s *sendmail) verify() int {
	if len(s.req.recipients) == 0 {
		say(s.w.Stderr, "sendmail: -bv: no recipients\n"+sendmailUsage)
		return sysExits.misused
	}
	return s.explain(s.req.recipients)
}

// test is -bt: the same for each address that is read. Numbers of rulesets in
// front of one, as sendmail wants them, do not matter.
func (s *sendmail) test() int {
	lines := bufio.NewScanner(s.w.Stdin)
	for {
		_, _ = io.WriteString(s.w.Stdout, "> ") // for people
		if !lines.Scan() {
			break
		}
		words := strings.Fields(lines.Text())
		if len(words) > 0 && words[0] == "/quit" {
			return exitDone
		}
		if len(words) > 0 {
			s.explain(words[len(words)-1:])
		}
	}
	if err := lines.Err(); err != nil {
		return report(s.w.Stderr, s.req.program, sysExits, trouble("unable to read", err))
	}
	_, _ = io.WriteString(s.w.Stdout, "\n")
	return exitDone
}

// explain runs qmail-explain.
func (s *sendmail) explain(recipients []string) int {
	argv := []string{"qmail-explain", "--local"}
	if s.req.sender != nil {
		argv = append(argv, "--from", *s.req.sender)
	}
	argv = append(append(argv, "--"), recipients...)
	path := filepath.Join(s.w.Home, "bin", argv[0])
	process, err := os.StartProcess(path, argv, &os.ProcAttr{
		Env: s.w.Environ, Files: []*os.File{s.w.Stdin, s.w.Stdout, s.w.Stderr},
	})
	var state *os.ProcessState
	if err == nil {
		state, err = process.Wait()
	}
	if wrapped := (*os.PathError)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // path is said
	}
	if err != nil {
		return report(s.w.Stderr, s.req.program, sysExits, trouble("unable to run "+path, err))
	}
	switch state.ExitCode() {
	case exitDone:
		return exitDone
	case exitPermanent:
		return exitNoUser
	}
	return exitUnsure
}

// become replaces this process by another program of ours. It returns only if
// that failed.
func (s *sendmail) become(program string, env []string) int {
	path := filepath.Join(s.w.Home, "bin", program)
	err := syscall.Exec(path, []string{program}, env)
	return report(s.w.Stderr, s.req.program, sysExits, trouble("unable to run "+path, err))
}
