package testhost

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// Network is a segment that hosts are plugged into: a bridge and a DNS server
// in a network namespace of their own. Nothing in it reaches the machine's
// network, and several networks with the same addresses exist side by side.
type Network struct {
	t          testing.TB
	ns         namespace
	zone       *Zone
	singleUser bool

	mu    sync.Mutex
	hosts int
}

// The addresses of a network: the DNS server is number 1, hosts follow.
const (
	prefix4 = "10.77.0."
	prefix6 = "fd77::"
)

// NewNetwork makes a network that lives as long as the test. Where hosts
// cannot be made the test is skipped, but never when it runs as root.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	ns, err := newNamespace()
	if err != nil {
		skip(t, "network namespaces", err)
	}
	t.Cleanup(ns.close)
	n := &Network{t: t, ns: ns, singleUser: singleUser()}
	err = ns.ip(
		"link set lo up",
		"link add bridge type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
		"addr add "+prefix4+"1/24 dev bridge",
		"link set bridge up",
	)
	if err != nil {
		t.Fatal(err)
	}
	if ns.ip("addr add "+prefix6+"1/64 dev bridge nodad") != nil {
		t.Log("testhost: the kernel has no IPv6")
	}
	n.zone, err = newZone(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.zone.close)
	return n
}

// Zone returns the network's DNS server.
func (n *Network) Zone() *Zone { return n.zone }

// skip skips a test for want of something, aloud; as root it fails instead.
func skip(t testing.TB, what string, err error) {
	t.Helper()
	if realRoot() {
		t.Fatalf("root has no %s: %v", what, err)
	}
	t.Skipf("SKIPPED for want of %s: %v", what, err)
}

// NeedUsers skips the test where only one user is mapped (not root and no
// subordinate ids).
func NeedUsers(t testing.TB) {
	t.Helper()
	if singleUser() {
		t.Skip("SKIPPED for want of more than one user id: run as root or give this user subordinate ids")
	}
}

// NeedRoot skips the test where it does not run as the machine's root.
func NeedRoot(t testing.TB, why string) {
	t.Helper()
	if !realRoot() {
		t.Skipf("SKIPPED for want of root: %s", why)
	}
}

// Listen makes a listening socket of the network's own address, as a machine
// beside the hosts.
func (n *Network) listen(network, address string) (net.Listener, error) {
	return listenIn(n.ns, network, address)
}

func listenIn(ns namespace, network, address string) (l net.Listener, err error) {
	err = ns.do(func() error {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

func listenPacketIn(ns namespace, network, address string) (c net.PacketConn, err error) {
	err = ns.do(func() error {
		c, err = net.ListenPacket(network, address)
		return err
	})
	return c, err
}

// dialIn connects from inside a namespace. The address must be numeric: a
// name would be looked up by other threads, outside.
func dialIn(ctx context.Context, ns namespace, network, address string) (c net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, err
	}
	err = ns.do(func() error {
		c, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// plug connects a host's namespace to the bridge and returns the name of the
// bridge's port and the host's addresses.
func (n *Network) plug(pid int, host namespace) (port string, ip4, ip6 netip.Addr, err error) {
	n.mu.Lock()
	n.hosts++
	number := n.hosts + 1
	n.mu.Unlock()
	port = fmt.Sprintf("port%d", number)
	ip4 = netip.MustParseAddr(fmt.Sprintf("%s%d", prefix4, number))
	ip6 = netip.MustParseAddr(fmt.Sprintf("%s%x", prefix6, number))
	err = n.ns.ip(
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", port, pid),
		fmt.Sprintf("link set %s master bridge up", port),
	)
	if err != nil {
		return port, ip4, ip6, err
	}
	err = host.ip(
		"link set lo up",
		fmt.Sprintf("addr add %s/24 dev eth0", ip4),
		"link set eth0 up",
		fmt.Sprintf("route add default via %s1", prefix4),
	)
	if err != nil {
		return port, ip4, ip6, err
	}
	if host.ip(fmt.Sprintf("addr add %s/64 dev eth0 nodad", ip6)) != nil {
		ip6 = netip.Addr{}
	}
	return port, ip4, ip6, nil
}

// setPort lets the bridge drop everything from and to a port silently, or
// forward again: 0 is "disabled", 3 "forwarding".
func (n *Network) setPort(port string, state int) error {
	return n.ns.run("bridge", "", "link", "set", "dev", port, "state", fmt.Sprint(state))
}
