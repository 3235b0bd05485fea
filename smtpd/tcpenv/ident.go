package tcpenv

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
)

const identPort = 113

// The longest answer, and the longest user of it (RFC 1413 section 5).
const (
	maxAnswer = 1000
	maxUser   = 512
)

// askIdent asks the client's host whose connection it is. It returns nothing if
// that does not say.
func askIdent(ctx context.Context, local, remote netip.AddrPort, port uint16) string {
	// From the same address, or the other host knows no such connection.
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), 0))}
	conn, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(remote.Addr(), port).String())
	if err != nil {
		return ""
	}
	defer conn.Close() // all was read that counts
	if deadline, limited := ctx.Deadline(); limited {
		if err := conn.SetDeadline(deadline); err != nil {
			return ""
		}
	}
	if _, err := fmt.Fprintf(conn, "%d , %d\r\n", remote.Port(), local.Port()); err != nil {
		return ""
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxAnswer)).ReadString('\n')
	if err != nil {
		return ""
	}
	return identUser(line, remote.Port(), local.Port())
}

// identUser returns the user of an answer: PORT , PORT : USERID : SYSTEM : USER.
func identUser(line string, remote, local uint16) string {
	parts := strings.SplitN(strings.TrimRight(line, "\r\n"), ":", 4)
	if len(parts) != 4 || strings.TrimSpace(parts[1]) != "USERID" {
		return ""
	}
	ports := strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, parts[0])
	user := strings.TrimLeft(parts[3], " \t")
	if ports != fmt.Sprintf("%d,%d", remote, local) || len(user) > maxUser {
		return ""
	}
	if strings.IndexFunc(user, func(r rune) bool { return r < 32 || r > 126 }) >= 0 {
		return ""
	}
	return user
}
