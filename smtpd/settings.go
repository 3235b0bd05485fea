package smtpd

import (
	"crypto/x509"
	"errors"
	"time"

	"postrider/internal/addresslist"
	"postrider/internal/authresults"
	"postrider/internal/control"
	"postrider/internal/mailboxes"
	"postrider/internal/networks"
	"postrider/internal/rcpthosts"
	"postrider/internal/tcprules"
)

// Defaults of the numbers (docs/control.md).
const (
	defaultTimeout        = 1200  // timeoutsmtpd: seconds for a command, or for the next piece of a message
	defaultSessionTimeout = 14400 // timeoutsmtpdsession: seconds for a whole connection
	defaultConcurrency    = 1000  // concurrencysmtp: connections
	defaultConcurrencyIP  = 50    // concurrencysmtpip: connections from one address
	defaultMaxRcpt        = 50000 // maxrcpt: recipients of one message
	defaultMaxErrors      = 50    // maxerrorsmtp: refused commands of one connection
	defaultMinRate        = 500   // minratesmtp: octets of message text a second
	defaultMaxHeader      = 1 << 20
	defaultTarpitErrors   = 5
	defaultMaxBadRcpt     = 10 // maxbadrcpt: unknown recipients of one connection
)

// controlFiles are all files that loadSettings reads.
var controlFiles = [...]string{
	"me", "smtpgreeting", "localiphost", "timeoutsmtpd", "timeoutsmtpdsession", "databytes", "maxrcpt",
	"rcpthosts", "locals", "percenthack", "envnoathost", "badmailfrom",
	"concurrencysmtp", "concurrencysmtpip", "milters", "tcp.smtp", "tcp.smtp.cdb",
	"authcram", "authinsecure", "authservid", "clientca.pem", "proxyhosts", "tlsclients", "tlsserverciphers", "xclienthosts",
	"dnsbllist", "dnsblfailclosed", "spfbehavior", "checkrdns", "greylist",
	"badhelo", "badmailto", "badrcptto", "maxbadrcpt", "rateconnsmtp", "ratemailsmtp", "ratercptsmtp", "verifyrcpt",
	"greetdelay", "maxerrorsmtp", "maxheadersmtp", "maxlinesmtp", "maxmailsmtp", "minratesmtp", "tarpitdelay", "tarpiterrors",
}

// settings is what the control files say. It never changes: a session keeps
// the one that it began with.
type settings struct {
	greeting      string
	me            string // empty if there is no control/me
	authServID    string // who gives results of authentication; empty: nobody
	localIPHost   string
	hasIPHost     bool
	timeout       time.Duration
	sessionLimit  time.Duration
	databytes     int64 // 0 is no limit
	maxRcpt       int
	maxMail       int // transactions of a connection; this and the next ones: 0 is no limit
	maxErrors     int
	maxHeader     int
	maxLine       int // octets of a line of message text
	minRate       int // octets a second
	greetDelay    time.Duration
	tarpitDelay   time.Duration
	tarpitErrors  int // refusals that are not delayed
	concurrency   int
	concurrencyIP int

	hosts       *rcpthosts.Hosts
	badMailFrom addresslist.List
	badHelo     addresslist.List
	badMailTo   addresslist.List
	badRcptTo   addresslist.List
	noAtHost    string // envnoathost
	mailboxes   mailboxes.Policy
	allowance   allowance
	rules       tcprules.Set
	checks      checks
	milters     bool // there are some

	tlsClients   map[string]struct{} // who may relay; nil: no certificate is asked for
	clientCAs    *x509.CertPool      // nil: there are none
	proxyHosts   networks.List
	xclientHosts networks.List

	authCRAM     bool // CRAM-MD5 is offered
	authInsecure bool // AUTH is offered without TLS

	// warnings are about what may not be meant as it stands there.
	warnings []string
}

// loadSettings reads the control files; rules says whether tcp.smtp is one of
// them. Any error means that no mail may be taken: a policy that cannot be
// read is not an empty one.
func loadSettings(home string, rules bool) (*settings, error) {
	return readSettings(control.Dir(home+"/control"), rules)
}

func readSettings(dir control.Dir, rules bool) (*settings, error) {
	s := &settings{}
	r := settingsReader{dir: dir}
	s.me = r.line("me", "")
	s.greeting = r.lineOrMe("smtpgreeting")
	s.authServID = r.line("authservid", "")
	s.localIPHost = r.lineOrMe("localiphost")
	s.hasIPHost = s.localIPHost != ""
	s.timeout = r.seconds("timeoutsmtpd", defaultTimeout)
	s.sessionLimit = r.seconds("timeoutsmtpdsession", defaultSessionTimeout)
	s.databytes = int64(r.number("databytes", 0))
	s.maxRcpt = max(1, r.number("maxrcpt", defaultMaxRcpt))
	s.concurrency = r.number("concurrencysmtp", defaultConcurrency)
	s.concurrencyIP = r.number("concurrencysmtpip", defaultConcurrencyIP)
	s.maxMail = r.number("maxmailsmtp", 0)
	s.maxErrors = r.number("maxerrorsmtp", defaultMaxErrors)
	s.maxHeader = r.number("maxheadersmtp", defaultMaxHeader)
	s.maxLine = r.number("maxlinesmtp", 0)
	s.minRate = r.number("minratesmtp", defaultMinRate)
	s.greetDelay = r.delay("greetdelay")
	s.tarpitDelay = r.delay("tarpitdelay")
	s.tarpitErrors = r.number("tarpiterrors", defaultTarpitErrors)
	s.badMailFrom = r.set("badmailfrom")
	s.badHelo = r.set("badhelo")
	s.badMailTo = r.set("badmailto")
	s.badRcptTo = r.set("badrcptto")
	s.noAtHost = r.lineOrMe("envnoathost")
	s.mailboxes.Verify = r.number("verifyrcpt", 1) // mailboxes.VerifyStrangers
	s.mailboxes.MaxUnknown = r.number("maxbadrcpt", defaultMaxBadRcpt)
	s.allowance = allowance{r.number("rateconnsmtp", 0), r.number("ratemailsmtp", 0), r.number("ratercptsmtp", 0)}
	s.authCRAM = r.number("authcram", 0) != 0
	s.authInsecure = r.number("authinsecure", 0) != 0
	if rules {
		var err error
		s.rules, err = tcprules.Load(dir)
		r.note(err)
		if s.rules.UsesNames() {
			r.warnings = append(r.warnings, "control/tcp.smtp: rules with host names never apply, names are not looked up")
		}
		s.checks = r.readChecks()
		s.milters = r.some("milters")
		s.proxyHosts = r.networks("proxyhosts")
		s.xclientHosts = r.networks("xclienthosts")
		r.readTLSClients(s)
		if r.some("tlsserverciphers") {
			r.warnings = append(r.warnings, "control/tlsserverciphers is not followed: the ciphers of TLS are those that Go gives servers")
		}
	}
	s.warnings = r.warnings
	hosts, err := rcpthosts.Load(dir)
	r.note(err)
	s.hosts = hosts
	if r.err != nil {
		return nil, r.err
	}
	if s.greeting == "" || s.greeting != printable(s.greeting) {
		return nil, errors.New("control/smtpgreeting and control/me are missing, or the greeting is empty or not printable")
	}
	if s.authServID != "" && !authresults.IsServer(s.authServID) {
		return nil, errors.New("control/authservid is no name of a server")
	}
	return s, nil
}

// settingsReader reads control files until one fails.
type settingsReader struct {
	dir      control.Dir
	err      error
	warnings []string
}

func (r *settingsReader) line(name, def string) string {
	value, err := r.dir.Line(name, def)
	r.note(err)
	return value
}

func (r *settingsReader) lineOrMe(name string) string {
	value, err := r.dir.LineOrMe(name, "")
	r.note(err)
	return value
}

func (r *settingsReader) number(name string, def int) int {
	value, err := r.dir.Int(name, def)
	r.note(err)
	return value
}

// seconds returns a time of at least a second, and at most a year: more is
// no limit either, and would not fit into a Duration.
func (r *settingsReader) seconds(name string, def int) time.Duration {
	const year = 366 * 24 * 3600
	return time.Duration(min(max(1, r.number(name, def)), year)) * time.Second
}

// delay returns a time of at most a minute that clients are made to wait.
func (r *settingsReader) delay(name string) time.Duration {
	return time.Duration(min(r.number(name, 0), 60)) * time.Second
}

// set reads a list of names, addresses, or domains behind an at sign.
func (r *settingsReader) set(name string) addresslist.List {
	lines, _, err := r.dir.List(name)
	r.note(err)
	if hint := addresslist.ExpressionHint(name, lines); hint != "" {
		r.warnings = append(r.warnings, hint)
	}
	return addresslist.New(lines)
}

// networks reads a list of addresses and networks in CIDR notation.
func (r *settingsReader) networks(name string) networks.List {
	var list networks.List
	_, err := r.dir.Each(name, list.Add)
	r.note(err)
	return list
}

// some reports whether a list has lines.
func (r *settingsReader) some(name string) bool {
	lines, _, err := r.dir.List(name)
	r.note(err)
	return len(lines) > 0
}

func (r *settingsReader) note(err error) {
	if r.err == nil {
		r.err = err
	}
}
