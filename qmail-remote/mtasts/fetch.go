package mtasts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"postrider/internal/mtasts"
)

const (
	// fetchTime is for all of a fetch, dialTime for each address.
	fetchTime    = 30 * time.Second
	dialTime     = 10 * time.Second
	maxAddresses = 4
	maxHeader    = 16 << 10

	webPort = "443"
)

// ours is trouble of this machine: nothing is known of the policy.
type ours struct{ err error }

func (o *ours) Error() string { return o.err.Error() }
func (o *ours) Unwrap() error { return o.err }

// fetcher fetches policies.
type fetcher struct {
	dns   func() (lookups, error)
	roots func() (*x509.CertPool, error)
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
}

// fetch returns the policy of a domain as it stands on its web server (RFC 8461
// section 3.3). No redirect is followed.
func (f *fetcher) fetch(ctx context.Context, domain string) (string, error) {
	roots, err := f.roots()
	if err != nil {
		return "", &ours{err}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	transport := &http.Transport{
		DialContext:            f.connect,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("User-Agent", "qmail-mtasts")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	return body(response)
}

func body(response *http.Response) (string, error) {
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("its web server answers %d", response.StatusCode)
	}
	// A server where anybody may leave pages must not speak for its domain.
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "text/plain") {
		return "", errors.New("what its web server has is no text/plain")
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, mtasts.MaxPolicy+1))
	if err != nil {
		return "", err
	}
	if len(text) > mtasts.MaxPolicy {
		return "", errors.New("what its web server has is too long")
	}
	return string(text), nil
}

// connect connects to a web server by its name.
func (f *fetcher) connect(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dns, err := f.dns()
	if err != nil {
		return nil, &ours{err}
	}
	addrs, err := dns.Addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	err = errors.New("it has no address that is asked")
	for _, addr := range addrs[:min(len(addrs), maxAddresses)] {
		if isHere(addr) {
			continue
		}
		var conn net.Conn
		dialing, cancel := context.WithTimeout(ctx, dialTime)
		conn, err = f.dial(dialing, network, net.JoinHostPort(addr.String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// isHere reports whether an address leads to this machine or what is beside it
// alone: nobody's policy is there.
func isHere(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast() || addr.IsMulticast()
}
