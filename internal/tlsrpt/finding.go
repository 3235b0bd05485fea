package tlsrpt

import (
	"net/netip"
	"slices"
)

// Limits of a finding.
const (
	MaxName    = 253
	MaxStrings = 32  // of a policy
	MaxString  = 300 // bytes of one
	MaxReason  = 200
)

// Types of policies (RFC 8460 section 4.4).
const (
	TLSA     = "tlsa"
	STS      = "sts"
	NoPolicy = "no-policy-found"
)

// Types of results (RFC 8460 section 4.3).
const (
	NoSTARTTLS    = "starttls-not-supported"
	WrongHost     = "certificate-host-mismatch"
	Expired       = "certificate-expired"
	NotTrusted    = "certificate-not-trusted"
	Invalid       = "validation-failure"
	TLSAInvalid   = "tlsa-invalid"
	DNSSECInvalid = "dnssec-invalid"
)

var (
	policyTypes = []string{TLSA, STS, NoPolicy}
	resultTypes = []string{NoSTARTTLS, WrongHost, Expired, NotTrusted, Invalid, TLSAInvalid, DNSSECInvalid}
)

// Policy is what a session was to keep to.
type Policy struct {
	Type    string   `json:"policy-type"`
	Strings []string `json:"policy-string,omitempty"`
	Domain  string   `json:"policy-domain"` // of the recipients, in ASCII
	MXHosts []string `json:"mx-host,omitempty"`
}

// Failure is what went wrong, for whom, and why.
type Failure struct {
	Result      string `json:"result-type"`
	SendingIP   string `json:"sending-mta-ip,omitempty"`
	MXHost      string `json:"receiving-mx-hostname,omitempty"`
	ReceivingIP string `json:"receiving-ip,omitempty"`
	Sessions    int64  `json:"failed-session-count"`
	Reason      string `json:"failure-reason-code,omitempty"`
}

// Finding is what one session found: a failure, or none.
type Finding struct {
	Policy  Policy
	Failed  bool
	Failure Failure
}

// Valid reports whether f is in its limits: one that is not may not be put into
// a report.
func (f Finding) Valid() bool {
	return f.Policy.Valid() && (!f.Failed || f.Failure.Valid())
}

// Valid reports whether p may be put into a report.
func (p Policy) Valid() bool {
	if !slices.Contains(policyTypes, p.Type) || !IsName(p.Domain) || len(p.Strings) > MaxStrings || len(p.MXHosts) > MaxStrings {
		return false
	}
	for _, s := range slices.Concat(p.Strings, p.MXHosts) {
		if s == "" || len(s) > MaxString || !isText(s) {
			return false
		}
	}
	return true
}

// Valid reports whether f may be put into a report.
func (f Failure) Valid() bool {
	return slices.Contains(resultTypes, f.Result) && isAddress(f.SendingIP) && isAddress(f.ReceivingIP) &&
		(f.MXHost == "" || IsName(f.MXHost)) && len(f.Reason) <= MaxReason && isText(f.Reason)
}

func isAddress(s string) bool {
	a, err := netip.ParseAddr(s)
	return s == "" || err == nil && a.Zone() == ""
}

// Same reports whether two policies are one.
func (p Policy) Same(q Policy) bool {
	return p.Type == q.Type && p.Domain == q.Domain && slices.Equal(p.Strings, q.Strings) && slices.Equal(p.MXHosts, q.MXHosts)
}
