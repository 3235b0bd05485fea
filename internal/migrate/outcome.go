package migrate

import (
	"slices"
	"strings"
)

// Outcome is what becomes of mail for an address.
type Outcome struct {
	// Taken says that a stranger may send it by SMTP, as far as the domain goes.
	Taken bool `json:"taken"`
	// Ends is where it goes, in order, each once: what the functions below return.
	Ends []string `json:"ends"`
}

func (o Outcome) String() string {
	text := strings.Join(o.Ends, "; ")
	if text == "" {
		text = "nothing, it leads back to itself"
	}
	if !o.Taken {
		text += " (not taken from strangers)"
	}
	return text
}

// Equal tells whether two outcomes are the same.
func (o Outcome) Equal(other Outcome) bool {
	return o.Taken == other.Taken && slices.Equal(o.Ends, other.Ends)
}

// Ends of the way of mail.
const (
	Refused   = "refused"
	Discarded = "discarded"
)

// ToUser is the mail of an account, as it handles that itself.
func ToUser(name, home string) string { return "user " + name + " in " + home }

// ToBox is a file: a Maildir with a slash at the end of its name, or an mbox.
func ToBox(path string) string { return "file " + path }

// ToProgram is a program.
func ToProgram(line string) string { return "program " + strings.Join(strings.Fields(line), " ") }

// ToLMTP is a delivery server.
func ToLMTP(text string) string { return "lmtp " + strings.Join(strings.Fields(text), " ") }

// ToHost is an address of another host. via is the host that is asked, or
// nothing for the domain's mail exchangers.
func ToHost(address, via string) string {
	local, domain := Split(address)
	address = local + "@" + Lower(domain)
	if via == "" {
		return "remote " + address
	}
	return "remote " + address + " by way of " + Lower(via)
}

// Waits is mail that is tried again until somebody mends something.
func Waits(why string) string { return "waits: " + why }

// Untold is where the old configuration says something that only its own system
// can tell.
func Untold(why string) string { return "untold: " + why }

// maxSteps is how many addresses are followed from one.
const maxSteps = 2000

// Expand follows an address to its ends. step returns for one address the ends
// that it has and the addresses that it leads to.
func Expand(address string, step func(address string) (ends, next []string)) []string {
	var all []string
	seen := map[string]bool{Lower(address): true}
	todo := []string{address}
	for steps := 0; len(todo) > 0; steps++ {
		if steps == maxSteps {
			all = append(all, Waits("more addresses than are followed"))
			break
		}
		ends, next := step(todo[0])
		todo = todo[1:]
		all = append(all, ends...)
		for _, n := range next {
			if key := Lower(n); !seen[key] {
				seen[key] = true
				todo = append(todo, n)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Relay is a host that is asked by a protocol, in one spelling: host or host:port,
// with an IPv6 address in brackets, as routes have it.
func Relay(protocol, host string) string {
	if host == "" {
		return ""
	}
	name, port := host, ""
	if inner, closed := strings.CutPrefix(host, "["); closed {
		name, port, _ = strings.Cut(inner, "]")
		port = strings.TrimPrefix(port, ":")
	} else if strings.Count(host, ":") == 1 {
		name, port, _ = strings.Cut(host, ":")
	}
	if len(name) > 5 && strings.EqualFold(name[:5], "IPv6:") {
		name = name[5:]
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if port != "" && port != map[string]string{"smtp": "25", "lmtp": "24", "qmtp": "209"}[protocol] {
		name += ":" + port
	}
	if protocol == "smtp" {
		return name
	}
	return protocol + ":" + name
}
