package tlspost

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"postrider/internal/https"
	"postrider/internal/resolver"
	wire "postrider/internal/wire/tlspost"
)

// names is a DNS.
type names map[string][]netip.Addr

func (n names) Addresses(_ context.Context, host string) ([]netip.Addr, error) {
	if found := n[host]; found != nil {
		return found, nil
	}
	return nil, resolver.ErrNoName
}

// TestPost has web servers that take a report, and that do not. The certificate of
// httptest is for example.com.
func TestPost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		url    string // empty: one that the certificate is for
		want   byte   // as in the protocol
	}{
		{"taken", 200, "", 'K'},
		{"taken, nothing to say", 204, "", 'K'},
		{"taken for later", 202, "", 'K'},
		{"elsewhere", 307, "", 'D'},
		{"not there", 404, "", 'D'},
		{"not this form", 415, "", 'D'},
		{"too many", 429, "", 'Z'},
		{"broken", 500, "", 'Z'},
		{"not now", 503, "", 'Z'},
		{"of another name", 200, "https://other.example/tls", 'Z'},
		{"without an address", 200, "https://no.example/tls", 'Z'},
		{"at home", 200, "https://home.example.com/tls", 'Z'},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != "report" || r.Method != http.MethodPost || r.URL.Path != "/tls" ||
					r.Header.Get("Content-Type") != "application/tlsrpt+gzip" || r.Header.Get("Content-Encoding") != "" {
					t.Errorf("%s %s %v %q, %v", r.Method, r.URL, r.Header, body, err)
				}
				w.Header().Set("Location", "https://example.com/tls")
				w.WriteHeader(c.status)
			}))
			server.Config.ErrorLog = nil
			server.StartTLS()
			defer server.Close()
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			far := []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")}
			dns := names{"example.com": far, "other.example": far, "home.example.com": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("fe80::1")}}
			p := &poster{&https.Client{
				Names: func() (https.Names, error) { return dns, nil },
				Roots: func() (*x509.CertPool, error) { return roots, nil },
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					if address != "192.0.2.1:443" {
						return nil, errors.New("nobody is there")
					}
					return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
				},
			}}
			url := c.url
			if url == "" {
				url = "https://example.com/tls"
			}
			err := p.post(url, []byte("report"))
			var refused *wire.Refused
			got := byte('Z')
			switch {
			case err == nil:
				got = 'K'
			case errors.As(err, &refused):
				got = 'D'
			}
			if got != c.want || asked > 1 || asked == 0 && c.url == "" {
				t.Errorf("%c, %v, asked %d times", got, err, asked)
			}
		})
	}
}
