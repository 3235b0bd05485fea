package qmtp

import (
	"fmt"
	"net/netip"
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
	defaultTimeout        = 1200  // timeoutsmtpd: seconds for the next piece of a message
	defaultSessionTimeout = 14400 // timeoutsmtpdsession: seconds for a whole connection
	defaultConcurrency    = 200   // concurrencyqmtp, concurrencyqmqp: connections
	defaultConcurrencyIP  = 50    // concurrencyqmtpip: connections from one address
	defaultMaxRcpt        = 50000 // maxrcpt: recipients of one message
	defaultMinRate        = 500   // minratesmtp: octets of a message a second
	defaultMaxBadRcpt     = 10    // maxbadrcpt: unknown recipients of one connection
)

// controlFiles are all files that loadSettings reads.
var controlFiles = [...]string{
	"me", "timeoutsmtpd", "timeoutsmtpdsession", "maxrcpt", "minratesmtp",
	"concurrencyqmtp", "concurrencyqmtpip", "concurrencyqmqp", "qmqphosts",
	"rcpthosts", "locals", "percenthack", "envnoathost", "databytes", "badmailfrom", "badmailto", "badrcptto",
	"verifyrcpt", "maxbadrcpt", "authservid",
	"tcp.smtp", "tcp.smtp.cdb",
}

// settings is what the control files say. It never changes: a session keeps
// the one that it began with.
type settings struct {
	me            string // empty if there is no control/me
	timeout       time.Duration
	sessionLimit  time.Duration
	maxRcpt       int
	minRate       int // octets a second; 0 is no limit
	concurrency   int
	concurrencyIP int

	// of QMTP
	databytes   int64 // 0 is no limit
	hosts       *rcpthosts.Hosts
	badMailFrom addresslist.List
	badMailTo   addresslist.List
	badRcptTo   addresslist.List
	noAtHost    string // envnoathost
	rules       tcprules.Set
	verify      mailboxes.Policy
	authServID  string // who gives results of authentication; empty: nobody

	// clients may connect, whom the rules do not deny.
	clients networks.List

	// warnings are about what may not be meant as it stands there.
	warnings []string
}

// everybody, and who is on this machine.
var (
	everybody = networks.List{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	thisHost  = networks.List{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
)

// qmtpSettings reads the control files of qmail-qmtpd. Any error means that no
// mail may be taken: a policy that cannot be read is not an empty one.
func qmtpSettings(home string) (*settings, error) {
	r := newReader(home)
	s := r.limits()
	s.clients = everybody
	s.concurrency = r.number("concurrencyqmtp", defaultConcurrency)
	s.concurrencyIP = r.number("concurrencyqmtpip", defaultConcurrencyIP)
	s.databytes = int64(r.number("databytes", 0))
	s.badMailFrom = r.addresses("badmailfrom")
	s.badMailTo = r.addresses("badmailto")
	s.badRcptTo = r.addresses("badrcptto")
	noAtHost, err := r.dir.LineOrMe("envnoathost", "")
	r.note(err)
	s.noAtHost = noAtHost
	s.hosts, err = rcpthosts.Load(r.dir)
	r.note(err)
	s.verify.Verify = r.number("verifyrcpt", 1) // mailboxes.VerifyStrangers
	s.verify.MaxUnknown = r.number("maxbadrcpt", defaultMaxBadRcpt)
	s.authServID, err = r.dir.Line("authservid", "")
	r.note(err)
	if s.authServID != "" && !authresults.IsServer(s.authServID) {
		r.note(fmt.Errorf("%s/authservid: not the name of a server", r.dir))
	}
	s.rules, err = tcprules.Load(r.dir)
	r.note(err)
	s.warnings = r.warnings
	return s, r.err
}

// qmqpSettings reads those of qmail-qmqpd.
func qmqpSettings(home string) (*settings, error) {
	r := newReader(home)
	s := r.limits()
	s.concurrency = r.number("concurrencyqmqp", defaultConcurrency)
	s.concurrencyIP = s.concurrency
	s.clients = thisHost
	var listed networks.List
	present, err := r.dir.Each("qmqphosts", listed.Add)
	r.note(err)
	if present {
		s.clients = listed
	}
	return s, r.err
}

// settingsReader reads control files until one fails.
type settingsReader struct {
	dir      control.Dir
	err      error
	warnings []string
}

func newReader(home string) *settingsReader {
	return &settingsReader{dir: control.Dir(home + "/control")}
}

// limits reads what both have.
func (r *settingsReader) limits() *settings {
	me, err := r.dir.Line("me", "")
	r.note(err)
	return &settings{
		me:           me,
		timeout:      r.seconds("timeoutsmtpd", defaultTimeout),
		sessionLimit: r.seconds("timeoutsmtpdsession", defaultSessionTimeout),
		maxRcpt:      max(1, r.number("maxrcpt", defaultMaxRcpt)),
		minRate:      r.number("minratesmtp", defaultMinRate),
	}
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

func (r *settingsReader) addresses(name string) addresslist.List {
	lines, _, err := r.dir.List(name)
	r.note(err)
	if hint := addresslist.ExpressionHint(name, lines); hint != "" {
		r.warnings = append(r.warnings, hint)
	}
	return addresslist.New(lines)
}

func (r *settingsReader) note(err error) {
	if r.err == nil {
		r.err = err
	}
}
