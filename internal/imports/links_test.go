package imports

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// ban is a reason why programs do not link packages. A name that ends in /...
// stands for all below it, too.
type ban struct {
	reason   string
	packages []string
}

// The reasons.
var (
	quadratic = ban{"has a history of quadratic parsing of what is hostile",
		[]string{"net/mail", "net/textproto", "mime/..."}}
	web = ban{"two programs speak with web servers; it brings half of the library",
		[]string{"net/http/...", "html/...", "text/template", "encoding/gob", "plugin"}}
	network = ban{"the program never uses the network",
		[]string{"net", "net/rpc", "golang.org/x/net/bpf", "golang.org/x/net/ipv4", "golang.org/x/net/ipv6", "golang.org/x/net/internal/..."}}
	resolver = ban{"a program that asks no name server does not parse the answers of one",
		[]string{"github.com/miekg/dns"}}
	tls = ban{"a key has no place in it",
		[]string{"crypto/tls", "crypto/x509", "crypto/rsa", "crypto/ecdsa"}}
	handshakes = ban{"it signs and speaks no TLS: that is parsed where no key is",
		[]string{"crypto/tls"}}
	hashes = ban{"hashes of passwords are where no byte of the network is parsed",
		[]string{"golang.org/x/crypto/...", "github.com/go-crypt/x/..."}}
	starter = ban{"the program starts nothing",
		[]string{"os/exec"}}
	names = ban{"asks name services of the machine in ways that depend on it; internal/accounts reads the files",
		[]string{"os/user"}}
	slowest = ban{"makes a program start slowly",
		[]string{"crypto/...", "math/big", "encoding/json", "regexp", "os/exec", "github.com/spf13/pflag", "log/slog/...", "text/..."}}
	slow = ban{"makes a program start slowly that shells and .qmail files start often",
		[]string{"crypto/...", "math/big", "encoding/json", "regexp", "os/exec", "github.com/spf13/pflag", "log/...", "text/..."}}
)

var (
	everywhere = []ban{quadratic, web, names}
	forUsers   = append([]ban{network, resolver, slow}, everywhere...)
	// The viewers route recipients; internationalized domains need package log.
	viewers = append([]ban{network, resolver, slowest}, everywhere...)
	inside  = append([]ban{network, resolver, tls, starter}, everywhere...)
)

// bans says for every program what it does not link.
var bans = map[string][]ban{
	"bouncesaying": forUsers,
	"condredirect": forUsers,
	"datemail":     forUsers,
	"except":       forUsers,
	"forward":      forUsers,
	"maildir2mbox": forUsers,
	"maildirmake":  forUsers,
	"mailq":        viewers,
	"newaliases":   forUsers,
	"predate":      forUsers,
	"preline":      forUsers,
	"qmail-getpw":  forUsers,
	"qmail-inject": forUsers,
	"qmail-local":  forUsers,
	"qmail-newu":   forUsers,
	"qmail-pw2u":   forUsers,
	"qmail-tcpok":  forUsers,
	"qmail-tcpto":  forUsers,
	"qmail-qread":  viewers,
	"qmail-qstat":  viewers,
	"qmail-qmqpc":  forUsers,
	"qmail-queue":  forUsers,

	// It starts the programs that know, and shows what they say.
	"qmail-explain": append([]ban{network, resolver, tls}, everywhere...),

	"qmail-queuectl": {network, resolver, tls, starter, quadratic, web}, // archive/tar links os/user and is not asked for names
	"qbiff":          forUsers,
	"elq":            forUsers,
	"maildirwatch":   forUsers,
	"pinq":           forUsers,
	"qail":           forUsers,
	"qreceipt":       forUsers,
	"sendmail":       forUsers,

	"mailsubj":      forUsers,
	"qmail-newmrh":  viewers,
	"splogger":      forUsers,
	"qmail-logjson": forUsers,
	"qmail-trace":   append([]ban{network, resolver, tls, starter}, everywhere...),
	"qmail-top":     append([]ban{resolver, tls, starter, hashes}, everywhere...), // net for Unix sockets
	"tcprules":      viewers,
	"tcprulescheck": viewers,
	// It asks name servers, by a library that brings TLS, and has no key.
	"tcp-env": append([]ban{hashes}, everywhere...),

	"qmail-autoresponder": forUsers,

	// It has the readers of all programs, and what they need. What name servers say
	// it hears in a process of its own.
	"qmail-showctl": append([]ban{hashes}, everywhere...),

	"qmail-lookup":  inside,
	"qmail-filter":  append([]ban{resolver, tls, starter}, everywhere...), // milters are on the network
	"qmail-lspawn":  inside,
	"qmail-migrate": inside,
	"qmail-send":    inside,
	"qmail-setup":   inside,
	"qmail-spool":   inside,
	"qmail-start":   inside,

	// They speak with web servers, and have nothing else to lose.
	"qmail-mtasts":  {names, starter, hashes},
	"qmail-tlspost": {names, starter, hashes},
	"qmail-tlsrpt":  append([]ban{starter, hashes}, everywhere...),
	"qmail-tlsseen": inside,
	// It speaks HTTP, and has nothing to lose.
	"qmail-metrics":   {resolver, names, starter, hashes},
	"qmail-nss":       inside,
	"qmail-vlookup":   inside,
	"qmail-policy":    append([]ban{starter, hashes}, everywhere...),
	"qmail-rspawn":    inside,
	"qmail-remote":    append([]ban{starter}, everywhere...),
	"qmail-auth":      inside,
	"qmail-authpw":    inside,
	"qmail-checkpass": inside,
	"qmail-smtpd":     append([]ban{resolver, starter, hashes}, everywhere...),
	"qmail-qmtpd":     append([]ban{resolver, tls, starter, hashes}, everywhere...),
	"qmail-qmqpd":     append([]ban{resolver, tls, starter, hashes}, everywhere...),
	"qmail-dkimkey":   append([]ban{resolver, handshakes, starter}, everywhere...),
	"qmail-tlskey":    append([]ban{resolver, handshakes, starter}, everywhere...),
}

func (b ban) forbids(linked string) bool {
	return slices.ContainsFunc(b.packages, func(banned string) bool {
		parent, all := strings.CutSuffix(banned, "/...")
		return linked == parent || all && strings.HasPrefix(linked, parent+"/")
	})
}

func TestEveryProgramHasItsBans(t *testing.T) {
	t.Parallel()
	programs := make(map[string]bool)
	for dir := range packages(t) {
		if parent, name := path.Split(dir); parent == "cmd/" {
			programs[name] = true
		}
	}
	for name := range programs {
		if bans[name] == nil {
			t.Errorf("%s is new: decide what it must not link", name)
		}
	}
	for name := range bans {
		if !programs[name] {
			t.Errorf("%s is in the table and nowhere else", name)
		}
	}
}

func TestProgramsLinkNothingBanned(t *testing.T) {
	t.Parallel()
	linked := linkedByAll(t)
	for name, all := range bans {
		if len(linked[name]) == 0 {
			t.Errorf("the go command does not know what %s links", name)
		}
		for _, b := range all {
			for _, p := range linked[name] {
				if b.forbids(p) {
					t.Errorf("%s links %s: %s", name, p, b.reason)
				}
			}
		}
	}
}

// linkedByAll asks the go command for all packages of each program.
func linkedByAll(t *testing.T) map[string][]string {
	t.Helper()
	list := exec.Command("go", "list", "-f", "{{.ImportPath}}{{range .Deps}} {{.}}{{end}}", "./cmd/...")
	list.Dir = root(t)
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	linked := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		linked[path.Base(fields[0])] = fields[1:]
	}
	return linked
}
