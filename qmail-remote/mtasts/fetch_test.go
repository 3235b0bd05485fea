package mtasts

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/https"
	"postrider/internal/mtasts"
	"postrider/internal/resolver"
)

// addresses is a DNS that knows one host. The addresses beyond the first lead
// nowhere.
type addresses map[string][]netip.Addr

func (a addresses) TXT(context.Context, string) ([]string, error) { return nil, resolver.ErrNoName }

func (a addresses) Addresses(_ context.Context, host string) ([]netip.Addr, error) {
	if found := a[host]; found != nil {
		return found, nil
	}
	return nil, resolver.ErrNoName
}

// TestFetch has web servers as they should be, and others. The certificate of
// httptest is for example.com.
func TestFetch(t *testing.T) {
	t.Parallel()
	text := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "mta-sts.example.com" && r.Host != "example.com" || r.URL.Path != "/.well-known/mta-sts.txt" || r.Method != http.MethodGet {
				http.Error(w, "what?", http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", kind)
			w.Write([]byte(body))
		}
	}
	for _, c := range []struct {
		name    string
		handler http.Handler
		domain  string // empty: one that the certificate is for
		want    string // empty: an error
	}{
		{"good", text("text/plain", week), "", week},
		{"with a charset", text("Text/Plain; charset=utf-8", week), "", week},
		{"as long as may be", text("text/plain", strings.Repeat("x", mtasts.MaxPolicy)), "", strings.Repeat("x", mtasts.MaxPolicy)},
		{"too long", text("text/plain", strings.Repeat("x", mtasts.MaxPolicy+1)), "", ""},
		{"a page", text("text/html", week), "", ""},
		{"missing", http.NotFoundHandler(), "", ""},
		{"elsewhere", http.RedirectHandler("https://mta-sts.example.com/.well-known/mta-sts.txt", http.StatusFound), "", ""},
		{"header without end", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 2*https.MaxHeader))
			w.Header().Set("Content-Type", "text/plain")
			w.Write([]byte(week))
		}), "", ""},
		{"cut off", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(week))
		}), "", ""},
		{"of another name", text("text/plain", week), "other.example", ""},
		{"without an address", text("text/plain", week), "no.example", ""},
		{"at home", text("text/plain", week), "home.example", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(c.handler)
			server.Config.ErrorLog = nil
			server.StartTLS()
			defer server.Close()
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			remote := []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")}
			dns := addresses{"mta-sts.example.com": remote, "mta-sts.other.example": remote, "mta-sts.home.example": {netip.MustParseAddr("127.0.0.1")}}
			f := &fetcher{&https.Client{
				Names: func() (https.Names, error) { return dns, nil },
				Roots: func() (*x509.CertPool, error) { return roots, nil },
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					if address != "192.0.2.1:443" {
						return nil, errors.New("nobody is there")
					}
					return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
				},
			}}
			domain := c.domain
			if domain == "" {
				domain = "example.com"
			}
			got, err := f.fetch(context.Background(), domain)
			if (err == nil) != (c.want != "") || got != c.want {
				t.Errorf("got %.100q, %v", got, err)
			}
		})
	}
	f := &fetcher{&https.Client{Roots: func() (*x509.CertPool, error) { return nil, errors.New("none") }}}
	var here *https.Ours
	if _, err := f.fetch(context.Background(), "example.com"); !errors.As(err, &here) {
		t.Errorf("without authorities: %v", err)
	}
	for errno, want := range map[error]bool{syscall.EMFILE: true, syscall.ENOBUFS: true, syscall.ECONNREFUSED: false} {
		f.web.Roots = func() (*x509.CertPool, error) { return x509.NewCertPool(), nil }
		f.web.Names = func() (https.Names, error) {
			return addresses{"mta-sts.example.com": {netip.MustParseAddr("192.0.2.1")}}, nil
		}
		f.web.Dial = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", errno)}
		}
		if _, err := f.fetch(context.Background(), "example.com"); err == nil || errors.As(err, &here) != want {
			t.Errorf("%v: %v is our trouble: %v", errno, err, !want)
		}
	}
}
