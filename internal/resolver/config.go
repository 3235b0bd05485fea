package resolver

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// SystemConfig is where the system says which servers to ask.
const SystemConfig = "/etc/resolv.conf"

const (
	dnsPort     = 53
	maxServers  = 3 // as in resolv.conf(5)
	maxTimeout  = 30 * time.Second
	maxAttempts = 5
)

// Config says which servers to ask and how patiently.
type Config struct {
	Servers  []netip.AddrPort // tried in this order
	Timeout  time.Duration    // for one try of one server
	Attempts int              // how often each server is tried
	Entries  int              // how many lookups are kept; 0 is the default
	// Authentic says that the servers are believed when they say that they have
	// verified an answer (DNSSEC): nobody can change it between them and us.
	Authentic bool
}

// ReadConfig reads a file in the form of resolv.conf(5). As there, a file that
// is missing or names no server means the server on this machine. Servers are
// believed to have verified what they say they have if all of them are on this
// machine, or with "options trust-ad".
func ReadConfig(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Config{}, err
	}
	parsed, err := dns.ClientConfigFromReader(bytes.NewReader(text))
	if err != nil {
		return Config{}, err
	}
	config := Config{
		Timeout:  min(time.Duration(parsed.Timeout)*time.Second, maxTimeout),
		Attempts: min(parsed.Attempts, maxAttempts),
	}
	for _, server := range parsed.Servers {
		// A server that is no address is skipped, as the C library does.
		if addr, err := netip.ParseAddr(server); err == nil && len(config.Servers) < maxServers {
			config.Servers = append(config.Servers, netip.AddrPortFrom(addr, dnsPort))
		}
	}
	if len(config.Servers) == 0 {
		local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		config.Servers = []netip.AddrPort{netip.AddrPortFrom(local, dnsPort)}
	}
	config.Authentic = allHere(config.Servers) || trustsAD(string(text))
	return config, nil
}

func allHere(servers []netip.AddrPort) bool {
	for _, s := range servers {
		if !s.Addr().Unmap().IsLoopback() {
			return false
		}
	}
	return true
}

// trustsAD looks for the option of resolv.conf(5) that the library passes over.
func trustsAD(text string) bool {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == "options" && slices.Contains(words[1:], "trust-ad") {
			return true
		}
	}
	return false
}
