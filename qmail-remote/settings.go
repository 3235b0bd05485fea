package qmailremote

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/idn"
	"postrider/internal/resolver"
)

// settings is what the administrator's files say.
type settings struct {
	helo           string
	routes         map[string]string
	connectTimeout time.Duration
	remoteTimeout  time.Duration
	dns            lookups
}

const (
	defaultConnectTimeout = 60
	defaultRemoteTimeout  = 1200
	maxTimeout            = 24 * 60 * 60
)

// settingsFiles reads the settings again whenever a file has changed, as a
// qmail-remote started for each delivery does (spec 9.1).
type settingsFiles struct {
	home       string
	resolvConf string
	clock      clock.Clock

	mu   sync.Mutex
	read *settings
	seen []fileState
	dns  dnsState
}

// dnsState keeps a resolver, and with it its cache, while its file stays.
type dnsState struct {
	resolver *resolver.Resolver
	seen     fileState
}

// current returns the settings as they stand in the files now.
func (f *settingsFiles) current() (*settings, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.look()
	if f.read != nil && slices.Equal(seen, f.seen) {
		return f.read, nil
	}
	f.read = nil
	set, err := f.load(seen[len(seen)-1])
	if err != nil {
		return nil, err
	}
	// A file that changed a moment ago may change again without looking
	// different: only what is older may be kept.
	if f.clock.Now().Sub(newest(seen)) > time.Second {
		f.read, f.seen = set, seen
	}
	return set, nil
}

// controlFiles are the control files that are read here.
var controlFiles = [...]string{"me", "helohost", "smtproutes", "timeoutconnect", "timeoutremote"}

// look returns the states of all files, that of resolv.conf last.
func (f *settingsFiles) look() []fileState {
	states := make([]fileState, 0, len(controlFiles)+1)
	for _, name := range controlFiles {
		states = append(states, stateOf(f.home+"/control/"+name))
	}
	return append(states, stateOf(f.resolvConf))
}

func (f *settingsFiles) load(resolvConf fileState) (*settings, error) {
	dir := control.Dir(f.home + "/control")
	var set settings
	var err error
	if set.helo, err = dir.LineOrMe("helohost", ""); err != nil {
		return nil, err
	}
	if set.helo == "" || strings.ContainsAny(set.helo, "\r\n\x00 ") {
		return nil, errors.New("control/helohost or control/me must hold a host name")
	}
	if set.routes, err = routes(dir); err != nil {
		return nil, err
	}
	if set.connectTimeout, err = seconds(dir, "timeoutconnect", defaultConnectTimeout); err != nil {
		return nil, err
	}
	if set.remoteTimeout, err = seconds(dir, "timeoutremote", defaultRemoteTimeout); err != nil {
		return nil, err
	}
	if f.dns.resolver == nil || f.dns.seen != resolvConf {
		config, err := resolver.ReadConfig(f.resolvConf)
		if err != nil {
			return nil, err
		}
		f.dns = dnsState{resolver.New(config, f.clock), resolvConf}
	}
	set.dns = f.dns.resolver
	return &set, nil
}

func seconds(dir control.Dir, name string, def int) (time.Duration, error) {
	n, err := dir.Int(name, def)
	return time.Duration(min(n, maxTimeout)) * time.Second, err
}

// fileState tells a changed file from an unchanged one.
type fileState struct {
	device, inode uint64
	size          int64
	modified      time.Time // zero: there is no such file
	changed       time.Time
}

func stateOf(path string) fileState {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fileState{}
	}
	if err != nil {
		// Reading will tell what is wrong; until then nothing is kept.
		return fileState{changed: time.Now()}
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileState{changed: time.Now()}
	}
	return fileState{
		device:   sys.Dev,
		inode:    sys.Ino,
		size:     info.Size(),
		modified: info.ModTime(),
		changed:  time.Unix(sys.Ctim.Unix()),
	}
}

func newest(states []fileState) time.Time {
	var t time.Time
	for _, s := range states {
		if s.changed.After(t) {
			t = s.changed
		}
	}
	return t
}

// routes reads smtproutes by idn.Key.
func routes(dir control.Dir) (map[string]string, error) {
	lines, _, err := dir.Map("smtproutes")
	if err != nil {
		return nil, err
	}
	keyed := make(map[string]string, len(lines))
	for key, value := range lines {
		keyed[idn.Key(key)] = value
	}
	return keyed, nil
}
