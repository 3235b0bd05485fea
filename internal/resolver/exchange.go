package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// udpSize is what a server may send in one datagram: DNS flag day 2020's size
// that is not fragmented.
const udpSize = 1232

// question is what is asked: a fully qualified name in lower case and a type;
// the class is always IN.
type question struct {
	name  string
	qtype uint16
	// authentic says that the server is believed about what it has verified.
	authentic bool
}

// exchange asks one server: by UDP, again without EDNS if the server does not
// know that (RFC 6891 section 7), and by TCP if the answer was cut.
func exchange(ctx context.Context, server netip.AddrPort, timeout time.Duration, q question) (answer, error) {
	a, err := try(ctx, "udp", server, timeout, q, true)
	if errors.Is(err, errNoEDNS) {
		a, err = try(ctx, "udp", server, timeout, q, false)
	}
	if err == nil && a.truncated {
		a, err = try(ctx, "tcp", server, timeout, q, true)
		if err == nil && a.truncated {
			err = errors.New("answer is cut even over TCP")
		}
	}
	if err != nil {
		return answer{}, fmt.Errorf("%s at %s: %w", q.name, server, err)
	}
	return a, nil
}

func try(ctx context.Context, network string, server netip.AddrPort, timeout time.Duration, q question, edns bool) (answer, error) {
	query := new(dns.Msg).SetQuestion(q.name, q.qtype) // with a random id
	query.AuthenticatedData = q.authentic              // RFC 6840 section 5.7: tell me
	if edns {
		query.SetEdns0(udpSize, false)
	}
	wire, err := query.Pack()
	if err != nil {
		return answer{}, err
	}

	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return answer{}, err
		}
	}
	if network == "tcp" {
		return overTCP(conn, query.Id, wire, q)
	}
	return overUDP(conn, query.Id, wire, q)
}

// overUDP waits for the answer and passes over everything that is not: a
// forged datagram must not end the wait.
func overUDP(conn net.Conn, id uint16, wire []byte, q question) (answer, error) {
	if _, err := conn.Write(wire); err != nil {
		return answer{}, err
	}
	buf := make([]byte, udpSize)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return answer{}, err
		}
		a, err := parse(buf[:n], id, q)
		if !errors.Is(err, errNotOurs) {
			return a, err
		}
	}
}

func overTCP(conn net.Conn, id uint16, wire []byte, q question) (answer, error) {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(wire)))
	if _, err := conn.Write(append(framed, wire...)); err != nil {
		return answer{}, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return answer{}, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return answer{}, err
	}
	return parse(buf, id, q)
}
