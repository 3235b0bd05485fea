// Tryout runs a complete server below ./run, in the foreground, without
// changing anything else on the machine: "make run".
//
// As root it builds a small world of its own, with mount, pid and uts
// namespaces: users of its own in its own /etc, ./run/var/qmail as /var/qmail,
// ./run/home as /home. The network is the machine's. As an ordinary user it
// makes a private installation, in which every program runs as that user.
//
// Files: main.go (order and what is printed), layout.go (what is below ./run),
// world_linux.go (the namespaces).
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	hostname = "tryout.test"
	smtpAddr = "127.0.0.1:2525"
	inside   = "inside" // argument of the process in the namespaces
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "tryout: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if len(os.Args) > 1 && os.Args[1] == inside {
		return liveInside(filepath.Join(here, "run"))
	}
	l := layout{dir: filepath.Join(here, "run"), separated: os.Geteuid() == 0}
	if err := l.prepare(); err != nil {
		return err
	}
	l.explain()
	if l.separated {
		return startInside(l)
	}
	return startPrivate(l)
}

// explain prints what to try, one line each.
func (l layout) explain() {
	if l.separated {
		fmt.Println("Every program runs as its own user, in namespaces that see only ./run of this machine's files.")
	} else {
		fmt.Println("You are not root: every program runs as you, so nothing is separated from anything. Run it as root to see that.")
	}
	fmt.Printf("Send a message:    printf 'Subject: hello\\n\\nHello.\\n' | ./run/sendmail alice@%s\n", hostname)
	fmt.Printf("Send one by SMTP:  printf 'Subject: hello\\r\\n\\r\\nHello.\\r\\n' | curl -sS smtp://%s/client.example --mail-from you@example.org --mail-rcpt alice@%s -T -\n", smtpAddr, hostname)
	fmt.Println("It arrives in:     ./run/home/alice/Maildir/new")
	fmt.Println("Ctrl-C stops all.")
}

// startPrivate runs qmail-start as the user who called.
func startPrivate(l layout) error {
	c := exec.Command(filepath.Join(l.home(), "bin/qmail-start"), "./Maildir/")
	c.Env = usersEnvironment
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	// Ctrl-C is for this process, which passes it on.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		return err
	}
	return waitAndForward(c.Process.Signal, c.Wait)
}

// usersEnvironment is what programs in .qmail files will inherit.
var usersEnvironment = []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}

// waitAndForward passes signals on until the server has ended.
func waitAndForward(send func(os.Signal) error, wait func() error) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGALRM)
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	for {
		select {
		case sig := <-signals:
			if err := send(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		case err := <-ended:
			return err
		}
	}
}

// command runs a program to its end, showing what it says only if it fails.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
