package filter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"postrider/internal/control"
	"postrider/internal/limits"
	"postrider/internal/logline"
	"postrider/internal/milter"
	"postrider/internal/offspring"
	"postrider/internal/priv"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitDone      = 0
	exitPermanent = 100 // not started by qmail-start
	exitTemporary = 111
)

const logPrefix = "qmail-filter: "

// Defaults and bounds of the numbers (docs/control.md).
const (
	defaultConcurrency = 20
	maxConcurrency     = 1000
	defaultLimit       = 300 // seconds
	// maxLimit and turnTime stay below the time that an answer may take.
	maxLimit = 3000
)

// settings do not change while the program runs.
type settings struct {
	concurrency int
	limit       time.Duration
	programs    limits.Limits
	quarantine  string // an address in the form of SMTP, or ""
}

func loadSettings(home string) (s settings, err error) {
	dir := control.Dir(filepath.Join(home, "control"))
	if s.concurrency, err = dir.Int("concurrencyfilter", defaultConcurrency); err != nil {
		return s, err
	}
	s.concurrency = min(max(1, s.concurrency), maxConcurrency)
	seconds, err := dir.Int("timeoutfilter", defaultLimit)
	s.limit = time.Duration(min(max(1, seconds), maxLimit)) * time.Second
	if err == nil {
		s.programs, err = limits.Load(dir)
	}
	if err == nil {
		s.quarantine, err = loadQuarantine(dir)
	}
	return s, err
}

var errQuarantine = errors.New("control/quarantine: not an address with a domain")

// loadMilters reads control/milters.
func loadMilters(dir control.Dir) ([]milter.Milter, error) {
	var list milter.List
	_, err := dir.Each("milters", list.Add)
	return list, err
}

// Main runs qmail-filter until its control channel ends.
func Main(w world.World) int {
	channel, err := parent.Inherited()
	if err != nil {
		fmt.Fprintf(w.Stderr, "%sfatal: %v\n", logPrefix, err)
		return exitPermanent
	}
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	if err := run(w.Home, channel, log); err != nil {
		log.Line(logPrefix + "fatal: " + err.Error())
		return exitTemporary
	}
	return exitDone
}

func run(home string, channel *parent.Channel, log *logline.Writer) error {
	s, err := loadSettings(home)
	if err != nil {
		return err
	}
	if err := forbid(home); err != nil {
		return err
	}
	if err := s.programs.Bound(); err != nil {
		return err
	}
	defer offspring.EndRest()
	return newDaemon(home, s, log).run(channel)
}

// forbid has the kernel refuse to this process, and to the programs that it
// starts, what no program of a filter needs: to become another user of the
// suite or root, and user namespaces. Programs that may be setuid may.
func forbid(home string) error {
	installation, err := priv.Examine(home)
	if err != nil {
		return err
	}
	policy, err := installation.Policy()
	if err != nil || installation.Private || policy.Off || policy.SetuidPrograms {
		return err
	}
	nobodies, err := priv.FindNobodies(0)
	if err != nil {
		return err
	}
	own := uint32(os.Getuid()) // a program may become what it is
	nobodies.UIDs = slices.DeleteFunc(nobodies.UIDs, func(uid uint32) bool { return uid == own })
	return nobodies.Forbid()
}
