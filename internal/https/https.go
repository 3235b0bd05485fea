// Package https speaks HTTPS with web servers that strangers name in the DNS.
//
// qmail-mtasts and qmail-tlspost import it, and nobody who has more to lose:
// it brings net/http. Servers, and the names of their hosts, are hostile; the
// authorities are this machine's.
//
// Invariants:
//
//  1. Names are looked up by who calls, and addresses that lead to this machine
//     or what is beside it alone are not connected to.
//  2. A certificate has to be for the name, from an authority of this machine.
//  3. No redirect is followed, no connection is kept, no proxy is asked, and the
//     header of an answer has a bound.
package https

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"postrider/internal/fate"
)

const (
	// dialTime is for each address.
	dialTime     = 10 * time.Second
	maxAddresses = 4
	// MaxHeader is the most octets of the header of an answer.
	MaxHeader = 16 << 10
)

// Ours is trouble of this machine: nothing is known of the server.
type Ours struct{ Err error }

func (o *Ours) Error() string { return o.Err.Error() }
func (o *Ours) Unwrap() error { return o.Err }

// blame marks an error as Ours that says nothing of the server.
func blame(err error) error {
	var ours *Ours
	if err == nil || errors.As(err, &ours) || !fate.IsShortage(err) {
		return err
	}
	return &Ours{err}
}

// Names looks up addresses; resolver.Resolver.
type Names interface {
	Addresses(ctx context.Context, host string) ([]netip.Addr, error)
}

// Client speaks with servers. Many goroutines may use it.
type Client struct {
	Names func() (Names, error)
	Roots func() (*x509.CertPool, error)
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
}

// Do sends a request and hands the answer to use, which need not close its body.
// The request's context bounds all of it.
func (c *Client) Do(request *http.Request, use func(*http.Response) error) error {
	roots, err := c.Roots()
	if err != nil {
		return &Ours{err}
	}
	transport := &http.Transport{
		DialContext:            c.connect,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: MaxHeader,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return blame(err)
	}
	defer response.Body.Close()
	return blame(use(response))
}

// connect connects to a server by its name.
func (c *Client) connect(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	names, err := c.Names()
	if err != nil {
		return nil, &Ours{err}
	}
	addrs, err := names.Addresses(ctx, host)
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
		conn, err = c.Dial(dialing, network, net.JoinHostPort(addr.String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// isHere reports whether an address leads to this machine or what is beside it
// alone: no stranger's server is there.
func isHere(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast() || addr.IsMulticast()
}
