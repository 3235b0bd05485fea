// Package tcpenv is tcp-env: under inetd it sets the variables that tcpserver
// would, and becomes the program for the connection (spec sections 6.5, 8.5).
//
// Only its main in cmd imports it. The client is a stranger, and so are the
// name servers and the ident server that are asked about it: what they say has
// bounds, and bytes that are no part of a name are not passed on.
//
//	tcpenv.go  the variables, and the program
//	ident.go   who the client's host says it is (RFC 1413)
package tcpenv

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/getopt"
	"postrider/internal/resolver"
	"postrider/internal/world"
)

const exitFailed = 111

// softError is the host name that stands for trouble with the DNS.
const softError = "softdnserror"

// The time that the ident server has, if -t does not say; and all DNS together.
const (
	identTimeout = 30 * time.Second
	maxTimeout   = time.Hour
	dnsTimeout   = 60 * time.Second
)

// asker finds out what the socket does not tell.
type asker struct {
	names func(ctx context.Context, addr netip.Addr) ([]string, error)
	ident func(ctx context.Context, local, remote netip.AddrPort) string // "" if not known
}

// Main is tcp-env. It returns only if it could not become the program.
func Main(w world.World) int {
	opts, command, err := getopt.Parse(w.Args[1:], "rRt:")
	asksIdent, timeout := true, identTimeout
	for _, o := range opts {
		switch o.Letter {
		case 'r', 'R':
			asksIdent = o.Letter == 'r'
		case 't':
			seconds, numErr := strconv.ParseUint(o.Value, 10, 32)
			err = errors.Join(err, numErr)
			timeout = min(time.Duration(seconds)*time.Second, maxTimeout)
		}
	}
	if err == nil && len(command) == 0 {
		err = errors.New("usage: tcp-env [ -rR ] [ -t timeout ] program [ arg ... ]")
	}
	environ := w.Environ
	if proto, _ := w.Getenv("PROTO"); err == nil && proto != "TCP" {
		a := asker{names: asksNames(w)}
		if asksIdent {
			a.ident = func(ctx context.Context, local, remote netip.AddrPort) string {
				ctx, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				return askIdent(ctx, local, remote, identPort)
			}
		}
		environ, err = a.environment(w.Environ, 0)
	}
	if err == nil {
		err = become(command, environ)
	}
	fmt.Fprintf(w.Stderr, "tcp-env: fatal: %v\n", err)
	return exitFailed
}

// asksNames returns the way to the name servers of this machine. One that cannot
// be found out fails as a name server that does not answer.
func asksNames(w world.World) func(context.Context, netip.Addr) ([]string, error) {
	config, err := resolver.ReadConfig(resolver.SystemConfig)
	if err != nil {
		return func(context.Context, netip.Addr) ([]string, error) { return nil, err }
	}
	return resolver.New(config, w.Clock).Names
}

// environment returns environ with what is known of the connection that
// descriptor fd is.
func (a asker) environment(environ []string, fd int) ([]string, error) {
	local, err := endpoint(unix.Getsockname(fd))
	if err != nil {
		return nil, fmt.Errorf("unable to get the local address of descriptor 0: %w", err)
	}
	remote, err := endpoint(unix.Getpeername(fd))
	if err != nil {
		return nil, fmt.Errorf("unable to get the remote address of descriptor 0: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dnsTimeout)
	defer cancel()
	variables := map[string]string{
		"PROTO":      "TCP",
		"TCPLOCALIP": local.Addr().String(), "TCPLOCALPORT": strconv.Itoa(int(local.Port())), "TCPLOCALHOST": a.host(ctx, local.Addr()),
		"TCPREMOTEIP": remote.Addr().String(), "TCPREMOTEPORT": strconv.Itoa(int(remote.Port())), "TCPREMOTEHOST": a.host(ctx, remote.Addr()),
		"TCPREMOTEINFO": "",
	}
	if a.ident != nil {
		variables["TCPREMOTEINFO"] = a.ident(context.Background(), local, remote)
	}
	environ = slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, ours := variables[name]
		return ours
	})
	for name, value := range variables {
		if value != "" {
			environ = append(environ, name+"="+value)
		}
	}
	return environ, nil
}

// host returns the name of an address, or nothing.
func (a asker) host(ctx context.Context, addr netip.Addr) string {
	names, err := a.names(ctx, addr)
	switch {
	case errors.Is(err, resolver.ErrNoName), errors.Is(err, resolver.ErrNoRecord), err == nil && len(names) == 0:
		return ""
	case err != nil:
		return softError
	}
	name := strings.ToLower(strings.TrimSuffix(names[0], "."))
	if strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) >= 0 {
		return ""
	}
	return name
}

func endpoint(sa unix.Sockaddr, err error) (netip.AddrPort, error) {
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, errors.New("not a TCP connection")
}

// become replaces this process by a program, as execvp(3) does.
func become(command, environ []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("unable to run %s: %w", command[0], err)
	}
	return fmt.Errorf("unable to run %s: %w", path, unix.Exec(path, command, environ))
}
