package start

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"postrider/internal/control"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

const (
	defaultDelivery = "./Mailbox" // as qmail; our own scripts pass ./Maildir/
	defaultRemotes  = 2
	maxRemotes      = 64
	smtpPort        = 25
)

// settings is what the administrator says.
type settings struct {
	delivery []byte // instructions for who has no .qmail file
	environ  []byte // frame data: what users' programs will inherit
	logger   []string
	remotes  int
	// setuidPrograms is that of priv.Policy.
	setuidPrograms bool
	smtp           []endpoint
}

// endpoint is an address to listen on. An optional one is left out on a
// machine that has no such family.
type endpoint struct {
	netip.AddrPort
	optional bool
}

func readSettings(w world.World) (settings, error) {
	s := settings{delivery: []byte(defaultDelivery), environ: parent.EncodeEnvironment(w.Environ)}
	if len(w.Args) > 1 {
		s.delivery = []byte(w.Args[1])
	}
	if len(w.Args) > 2 {
		s.logger = w.Args[2:]
	}
	if len(s.delivery) > parent.MaxData {
		return s, fmt.Errorf("the delivery instructions are longer than %d bytes", parent.MaxData)
	}
	if len(s.environ) > parent.MaxData {
		return s, fmt.Errorf("the environment is larger than %d bytes: start with env - PATH=... and only what programs in .qmail files need", parent.MaxData)
	}
	dir := control.Dir(filepath.Join(w.Home, "control"))
	var err error
	if s.remotes, err = dir.Int("remoteworkers", defaultRemotes); err != nil {
		return s, err
	}
	if s.remotes < 1 || s.remotes > maxRemotes {
		return s, fmt.Errorf("%s/remoteworkers: %d is not between 1 and %d", dir, s.remotes, maxRemotes)
	}
	lines, present, err := dir.List("smtplisten")
	if err != nil {
		return s, err
	}
	if !present {
		lines = []string{":" + strconv.Itoa(smtpPort)}
	}
	for _, line := range lines {
		endpoints, err := parseEndpoint(line)
		if err != nil {
			return s, fmt.Errorf("%s/smtplisten: %q: %w", dir, line, err)
		}
		s.smtp = append(s.smtp, endpoints...)
	}
	return s, nil
}

// parseEndpoint reads "address:port", "[address]:port", or ":port" for all
// addresses of both families.
func parseEndpoint(line string) ([]endpoint, error) {
	if port, all := strings.CutPrefix(line, ":"); all {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return nil, errors.New("no port number from 1 to 65535 after the colon")
		}
		return []endpoint{
			{netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(n)), false},
			{netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n)), true},
		}, nil
	}
	at, err := netip.ParseAddrPort(line)
	if err != nil || at.Port() == 0 {
		return nil, errors.New("not address:port, [address]:port or :port")
	}
	if at.Addr().Is4In6() {
		return nil, errors.New("an IPv4 address is written without ::ffff:")
	}
	if zone := at.Addr().Zone(); zone != "" && strings.Trim(zone, "0123456789") != "" {
		return nil, errors.New("an interface is named by its number after %")
	}
	return []endpoint{{at, false}}, nil
}
