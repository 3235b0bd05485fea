package qmailremote

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"postrider/internal/control"
	"postrider/internal/socks"
)

// A line of control/outgoingip may name a SOCKS5 proxy (socks=address:port):
// connections then come from there. Names are looked up here as ever; the proxy
// is told addresses. What connections by a proxy find says nothing of those
// without one: they count for no table of hosts that time out.

// proxyLogins reads control/outgoingsocks: "address:port|user|password", for
// proxies that want a login. Nobody but its owner may read it.
func proxyLogins(dir control.Dir) (map[netip.AddrPort]socks.Login, error) {
	all := make(map[netip.AddrPort]socks.Login)
	present, err := dir.Each("outgoingsocks", func(line string) error {
		// Neither the line nor its parts are told: they are secret.
		words := strings.SplitN(line, "|", 3)
		proxy, err := netip.ParseAddrPort(words[0])
		if err != nil || len(words) != 3 || words[1] == "" || words[2] == "" ||
			len(words[1]) > socks.MaxCredential || len(words[2]) > socks.MaxCredential {
			return errors.New("not address:port|user|password")
		}
		all[unmapped(proxy)] = socks.Login{User: words[1], Password: words[2]}
		return nil
	})
	if err != nil || !present {
		return nil, err
	}
	return all, onlyOwner(string(dir) + "/outgoingsocks")
}

// parseProxy reads the address of a proxy, which has no name: nobody's answer
// decides where mail goes out.
func parseProxy(value string) (netip.AddrPort, error) {
	proxy, err := netip.ParseAddrPort(value)
	if err != nil || proxy.Port() == 0 || proxy.Addr().Zone() != "" || proxy.Addr().IsUnspecified() || proxy.Addr().IsMulticast() {
		return netip.AddrPort{}, errors.New("socks= needs address:port")
	}
	return unmapped(proxy), nil
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// proxyFailed is trouble of a proxy, and not of the host behind it.
type proxyFailed struct {
	proxy netip.AddrPort
	err   error
}

func (p *proxyFailed) Error() string { return p.err.Error() }
func (p *proxyFailed) Unwrap() error { return p.err }

// dialBy connects through a proxy.
func (c *client) dialBy(ctx context.Context, set *settings, key poolKey) (net.Conn, error) {
	conn, err := c.dial(ctx, key.source, key.proxy)
	if err != nil {
		return nil, &proxyFailed{key.proxy, err}
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // fails only when closed
	if err == nil {
		err = socks.Connect(conn, key.addr, set.proxyLogins[key.proxy])
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err == nil {
		return conn, nil
	}
	_ = conn.Close() // nothing was said over it
	var refusal socks.Refusal
	if errors.As(err, &refusal) {
		return nil, refusal
	}
	return nil, &proxyFailed{key.proxy, err}
}

func badProxy(p *proxyFailed) *report {
	return &report{class: deferred, text: "Unable to use the proxy " + p.proxy.String() + " of control/outgoingip: " +
		printable(p.Error()) + ". (#4.4.1)\n", ours: true}
}
