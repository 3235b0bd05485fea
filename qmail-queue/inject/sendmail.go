package inject

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"postrider/internal/getopt"
	"postrider/internal/world"
)

const sendmailUsage = "sendmail: usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]"

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
		return exitPermanent
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
		return exitPermanent
	}
	return report(w.Stderr, s.req.program, run(w, s.req))
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

// become replaces this process by another program of ours. It returns only if
// that failed.
func (s *sendmail) become(program string, env []string) int {
	path := filepath.Join(s.w.Home, "bin", program)
	err := syscall.Exec(path, []string{program}, env)
	return report(s.w.Stderr, s.req.program, trouble("unable to run "+path, err))
}
