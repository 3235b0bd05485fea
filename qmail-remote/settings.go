package qmailremote

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/destinations"
	"postrider/internal/dkimsign"
	"postrider/internal/resolver"
	"postrider/internal/socks"
	"postrider/internal/tlspolicy"
)

// settings is what the administrator's files say.
type settings struct {
	home           string
	helo           string
	routes         map[string]string // control/smtproutes
	tables         routeTables
	sources        []source            // control/outgoingip
	own            map[netip.Addr]bool // control/moreipme
	proxyLogins    map[netip.AddrPort]socks.Login
	tls            tlspolicy.Table
	mtasts         bool // qmail-mtasts is to be asked
	tlsRemember    time.Duration
	dkim           dkimsign.Table
	destinations   *destinations.Table
	connectTimeout time.Duration
	remoteTimeout  time.Duration
	waits          waits
	authInsecure   bool // log in without encryption
	chunking       bool // BDAT where it is offered
	dns            lookups
	authentic      authenticLookups // the same DNS
}

const (
	defaultConnectTimeout = 60
	defaultRemoteTimeout  = 1200
	maxTimeout            = 24 * 60 * 60
	maxRemember           = 365 // days
)

// settingsFiles reads the settings again whenever a file has changed, as a
// qmail-remote started for each delivery does (spec 9.1).
type settingsFiles struct {
	home       string
	control    string // the control directory; empty: that of home
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
var controlFiles = [...]string{
	"me", "helohost", "smtproutes", "timeoutconnect", "timeoutremote",
	"authsenders", "lmtproutes", "qmtproutes", "outgoingip", "outgoingsocks", "remoteauth", "remoteauthinsecure", "remotetimeouts", "remotechunking", "moreipme",
	tlspolicy.File, "mtasts", "tlsremember", "dkimsign", destinations.File,
}

func (f *settingsFiles) dir() string {
	if f.control != "" {
		return f.control
	}
	return f.home + "/control"
}

// look returns the states of all files, those of the directory and of
// resolv.conf last. A file that was not there is not looked for again as long
// as the directory is the same: most of them do not exist on most machines.
func (f *settingsFiles) look() []fileState {
	dir := f.dir()
	in := stateOf(dir)
	same := f.read != nil && len(f.seen) == len(controlFiles)+2 && f.seen[len(controlFiles)] == in
	states := make([]fileState, 0, len(controlFiles)+2)
	for i, name := range controlFiles {
		if same && f.seen[i] == (fileState{}) {
			states = append(states, fileState{})
			continue
		}
		states = append(states, stateOf(dir+"/"+name))
	}
	return append(states, in, stateOf(f.resolvConf))
}

func (f *settingsFiles) load(resolvConf fileState) (*settings, error) {
	dir := control.Dir(f.dir())
	set := settings{home: f.home}
	var err error
	if set.helo, err = dir.LineOrMe("helohost", ""); err != nil {
		return nil, err
	}
	if set.helo == "" || strings.ContainsAny(set.helo, "\r\n\x00 ") {
		return nil, errors.New("control/helohost or control/me must hold a host name")
	}
	if set.routes, err = routes(dir, "smtproutes"); err != nil {
		return nil, err
	}
	if err = set.more(dir); err != nil {
		return nil, err
	}
	if set.tls, err = tlspolicy.Read(dir); err != nil {
		return nil, err
	}
	if set.dkim, err = dkimsign.Read(dir); err != nil {
		return nil, err
	}
	if set.destinations, err = destinations.Read(dir); err != nil {
		return nil, err
	}
	ask, err := dir.Int("mtasts", 0)
	if err != nil {
		return nil, err
	}
	set.mtasts = ask > 0
	days, err := dir.Int("tlsremember", 0)
	if err != nil {
		return nil, err
	}
	set.tlsRemember = time.Duration(min(days, maxRemember)) * 24 * time.Hour
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
	set.dns, set.authentic = f.dns.resolver, f.dns.resolver
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

// more reads what qmail itself does not have.
func (set *settings) more(dir control.Dir) (err error) {
	t := &set.tables
	if t.senders, err = routes(dir, "authsenders"); err != nil {
		return err
	}
	if t.lmtp, err = routes(dir, "lmtproutes"); err != nil {
		return err
	}
	if t.qmtp, err = routes(dir, "qmtproutes"); err != nil {
		return err
	}
	if t.logins, err = logins(dir); err != nil {
		return err
	}
	if set.sources, err = readSources(dir); err != nil {
		return err
	}
	if set.own, err = readOwn(dir); err != nil {
		return err
	}
	if set.proxyLogins, err = proxyLogins(dir); err != nil {
		return err
	}
	if set.waits, err = readWaits(dir); err != nil {
		return err
	}
	insecure, err := dir.Int("remoteauthinsecure", 0)
	if err != nil {
		return err
	}
	set.authInsecure = insecure == 1
	chunking, err := dir.Int("remotechunking", 1)
	set.chunking = chunking == 1
	return err
}

// routes reads a file with routes by routeKey.
func routes(dir control.Dir, name string) (map[string]string, error) {
	lines, _, err := dir.Map(name)
	if err != nil || len(lines) == 0 {
		return nil, err
	}
	keyed := make(map[string]string, len(lines))
	for key, value := range lines {
		keyed[routeKey(key)] = value
	}
	return keyed, nil
}
