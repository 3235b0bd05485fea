package qmailremote

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"postrider/internal/dane"
	"postrider/internal/mtasts"
	"postrider/internal/tlspolicy"
	"postrider/internal/tlsrpt"
	"postrider/internal/webpki"
	"postrider/internal/wire/call"
	wire "postrider/internal/wire/tlsrpt"
)

// reportTime is how long qmail-tlsrpt has to count; nobody waits for it.
const reportTime = 10 * time.Second

// tlsReports is told what sessions found of TLS (RFC 8460). The classic form
// has nobody to tell: nil.
type tlsReports interface {
	wanted() bool
	found(f tlsrpt.Finding)
}

// reportLink is qmail-tlsrpt, over a link of qmail-start.
type reportLink struct{ client *call.Client }

func newReportLink() *reportLink { return &reportLink{call.NewClient("qmail-tlsrpt")} }

func (l *reportLink) wanted() bool { return l.client.Linked() }

// found tells a finding. One that cannot be told now is not counted.
func (l *reportLink) found(f tlsrpt.Finding) {
	go func() { _ = wire.Tell(l.client, f, reportTime) }()
}

// reported is what is told of the sessions with a host.
type reported struct {
	policy tlsrpt.Policy
	host   string
}

// reportsOn returns what is told of sessions with a target; nil is nothing: what
// the administrator asks for says nothing of the domain, and relays are his.
func (p *tlsPlan) reportsOn(t target, want *security) *reported {
	if p.client.reports == nil || !p.client.reports.wanted() || t.route {
		return nil
	}
	switch p.policy.Level {
	case tlspolicy.May, tlspolicy.DANE, tlspolicy.DANEOnly:
	default:
		return nil
	}
	r := &reported{host: t.host, policy: tlsrpt.Policy{Type: tlsrpt.NoPolicy, Domain: p.domain}}
	switch {
	case want != nil && want.by == byDANE:
		r.policy.Type, r.policy.Strings = tlsrpt.TLSA, textsOf(want.tlsa)
	case want != nil && want.by == bySTS && p.sts != nil:
		r.policy.Type, r.policy.Strings = tlsrpt.STS, stsText(p.sts.policy)
		r.policy.MXHosts = short(p.sts.policy.MX)
	}
	return r
}

// report notes on a decision what is told of its sessions, and tells at once of
// one that lets there be none.
func (p *tlsPlan) report(t target, d decision) {
	switch {
	case d.want != nil && d.want.level != inPlain:
		d.want.reported = p.reportsOn(t, d.want)
	case d.fault != nil && d.fault.flaw.result != "":
		r := p.reportsOn(t, nil)
		if r == nil {
			return
		}
		if r.policy.Type = tlsrpt.TLSA; d.fault.flaw.result != tlsrpt.DNSSECInvalid {
			r.policy.Type, r.policy.Strings, r.policy.MXHosts = tlsrpt.STS, stsText(p.sts.policy), short(p.sts.policy.MX)
		}
		p.client.tell(r, d.fault.flaw, netip.Addr{}, t.addr.Addr())
	}
}

// textsOf are TLSA records as a zone has them.
func textsOf(records []dane.Record) (texts []string) {
	for _, r := range records {
		texts = append(texts, fmt.Sprintf("%d %d %d %x", r.Usage, r.Selector, r.Matching, r.Data))
	}
	return short(texts)
}

// stsText is a policy, but for its max_age: nobody here is told that.
func stsText(p mtasts.Policy) []string {
	lines := []string{"version: STSv1", "mode: " + p.Mode.String()}
	for _, mx := range p.MX {
		lines = append(lines, "mx: "+mx)
	}
	return short(lines)
}

// short is a list in the limits of reports.
func short(list []string) (out []string) {
	for _, s := range list[:min(len(list), tlsrpt.MaxStrings)] {
		out = append(out, printable(s[:min(len(s), tlsrpt.MaxString)]))
	}
	return out
}

// flaw is what is wrong with the TLS of a host, as reports have it; without a
// result it is nothing that the host could mend.
type flaw struct{ result, reason string }

func flawOf(err error, want *security) flaw {
	var wrong *wrongCertificate
	switch {
	case errors.Is(err, errOwnKey):
		return flaw{}
	case !errors.As(err, &wrong):
		return flaw{tlsrpt.Invalid, reasonOf(err)}
	case wrong.ours:
		return flaw{}
	}
	var host *webpki.WrongName
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	f := flaw{tlsrpt.Invalid, reasonOf(wrong)}
	switch {
	case want.level == byDNS:
		f.result = tlsrpt.TLSAInvalid
	case errors.As(wrong.err, &host):
		f.result = tlsrpt.WrongHost
	case errors.As(wrong.err, &invalid) && invalid.Reason == x509.Expired:
		f.result = tlsrpt.Expired
	case errors.As(wrong.err, &unknown), errors.As(wrong.err, &invalid):
		f.result = tlsrpt.NotTrusted
	}
	return f
}

func reasonOf(err error) string {
	s := printable(err.Error())
	return s[:min(len(s), tlsrpt.MaxReason)]
}

// tellSession tells what a new session found. One that ended before TLS was its
// turn found nothing.
func (c *client) tellSession(key poolKey, conn net.Conn, want *security, s *session, fault *report) {
	if want.reported == nil {
		return
	}
	var f flaw
	switch {
	case s == nil && fault.flaw.result == "":
		return
	case s == nil:
		f = fault.flaw
	case s.tls == nil:
		f = flaw{result: tlsrpt.NoSTARTTLS}
	default:
		f = s.tls.flaw
	}
	c.tell(want.reported, f, localIP(conn), key.addr.Addr())
}

// tell tells of a host that something is wrong, or with a flaw without a result
// that nothing is.
func (c *client) tell(r *reported, f flaw, from, to netip.Addr) {
	finding := tlsrpt.Finding{Policy: r.policy}
	if f.result != "" {
		finding.Failed = true
		finding.Failure = tlsrpt.Failure{Result: f.result, Reason: f.reason, Sessions: 1, ReceivingIP: to.String()}
		if from.IsValid() {
			finding.Failure.SendingIP = from.String()
		}
		if tlsrpt.IsName(r.host) {
			finding.Failure.MXHost = r.host
		}
	}
	if finding.Valid() {
		c.reports.found(finding)
	}
}

func localIP(conn net.Conn) netip.Addr {
	if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
