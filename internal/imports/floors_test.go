package imports

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// floors are all packages of the module from the ground up. A package imports
// packages of lower floors, and of its own floor those in neighbours.
var floors = [][]string{
	{ // ground: words, values and the machine, nothing of ours
		"internal/absence", "internal/address", "internal/attempts", "internal/clock", "internal/esmtp", "internal/fate", "internal/figures", "internal/footprint", "internal/getopt", "internal/handover", "internal/idn", "internal/listenfds", "internal/logline", "internal/precedence",
		"internal/maildate", "internal/qmailhome", "internal/saslprep", "internal/scram", "internal/settings", "internal/srs", "internal/legible",
	},
	{ // what a program's Main takes
		"internal/world",
	},
	{ // the kernel, and formats
		"internal/addresslist", "internal/authresults", "internal/binarymime", "internal/cdb", "internal/control", "internal/dane", "internal/destinations", "internal/dkim", "internal/dkimsign", "internal/dotqmail", "internal/dsn", "internal/durable", "internal/exposition", "internal/fdpass",
		"internal/header", "internal/listener", "internal/logread", "internal/maildirsize", "internal/milterwire", "internal/mtasts", "internal/netstring", "internal/networks", "internal/offspring", "internal/privatekey", "internal/proxyproto", "internal/scratch", "internal/sessionlimit", "internal/sevenbit", "internal/smtpwire", "internal/socks", "internal/tcpto", "internal/tcprules", "internal/tlspolicy", "internal/tlsrpt", "internal/webpki",
	},
	{ // stores, tables, and what is found out through them
		"internal/accounts", "internal/aliases", "internal/checkpassword", "internal/getent", "internal/https", "internal/lmtp", "internal/limits", "internal/maildir", "internal/mbox", "internal/milter", "internal/queuedir", "internal/queuelock", "internal/rcpthosts", "internal/resolver",
		"internal/route", "internal/vpopmail",
	},
	{ // what the kernel holds a process to
		"internal/sandbox",
	},
	{ // who runs as whom
		"internal/priv",
	},
	{ // whether files are whose they are to be
		"internal/queuecheck",
	},
	{ // protocols
		"internal/wire/account", "internal/wire/auth", "internal/wire/call", "internal/wire/codec", "internal/wire/entries", "internal/wire/filter", "internal/wire/localwork", "internal/wire/lookup", "internal/wire/manage", "internal/wire/milter", "internal/wire/mtasts", "internal/wire/parent",
		"internal/wire/policy", "internal/wire/rewriting", "internal/wire/sign", "internal/wire/spawn", "internal/wire/steps", "internal/wire/submit", "internal/wire/tlspost", "internal/wire/tlsrpt", "internal/wire/tlsseen", "internal/wire/vlookup",
	},
	{ // what programs of users do to queue a message, and daemons to know who has a mailbox
		"internal/enqueue", "internal/mailboxes", "internal/responder", "internal/sessions", "internal/submitlink",
	},
	{ // what a site wants, whatever system it had
		"internal/migrate",
	},
	{ // from other systems to this one
		"internal/migrate/layout", "internal/migrate/ours", "internal/migrate/postfix", "internal/migrate/qmail", "internal/migrate/sendmail",
	},
	{ // parts of one room's program: see parts
		"qmail-send/bounce", "qmail-send/clients", "qmail-send/fair", "qmail-send/links", "qmail-send/mailbox", "qmail-send/progress", "qmail-send/reading", "qmail-send/retry", "qmail-send/timeline",
		"qmail-send/top/ask", "qmail-send/top/logtail", "qmail-send/top/picture", "qmail-send/top/readings", "qmail-send/top/wording",
	},
	{ // rooms: each holds programs, and none knows another
		"qmail-local", "qmail-local/commands", "qmail-local/lookup", "qmail-local/lspawn", "qmail-local/nss", "qmail-local/users",
		"qmail-queue", "qmail-queue/inject", "qmail-queue/qmqpc", "qmail-queue/queuectl", "qmail-queue/show", "qmail-queue/spool",
		"qmail-remote", "qmail-remote/mtasts", "qmail-remote/rspawn", "qmail-remote/tcpto", "qmail-remote/tlspost", "qmail-remote/tlsrpt", "qmail-remote/tlsseen",
		"qmail-send", "qmail-send/explain", "qmail-send/logjson", "qmail-send/metrics", "qmail-send/migrate", "qmail-send/setup", "qmail-send/showctl", "qmail-send/splogger", "qmail-send/start", "qmail-send/top", "qmail-send/trace",
		"smtpd", "smtpd/auth", "smtpd/checkpass", "smtpd/dkimkey", "smtpd/filter", "smtpd/policy", "smtpd/qmtp", "smtpd/tables", "smtpd/tcpenv", "smtpd/tlskey",
	},
	{ // what tests need
		"internal/bench", "internal/bench/account", "internal/bench/load", "internal/bench/report",
		"internal/dkim/dkimtest",
		"internal/durable/durabletest",
		"internal/faultcall",
		"internal/migrate/migratetest",
		"internal/milterwire/miltertest",
		"internal/killtest",
		"internal/lineartest",
		"internal/ledger",
		"internal/operator",
		"internal/powercut",
		"internal/resolver/resolvertest",
		"internal/scenario", "internal/scenario/captured", "internal/scenario/failing", "internal/scenario/hostile", "internal/scenario/packaged", "internal/scenario/services",
		"internal/testhost", "internal/testhost/inject", "internal/testhost/moved", "internal/testhost/raced",
		"internal/faulttest",
	},
	{ // programs
		"cmd/*", "contrib/tryout", "internal/mutation", "internal/testhost/moved/*",
	},
	{ // nobody imports this
		"internal/imports",
	},
}

// neighbours are imports within a floor.
var neighbours = map[string][]string{
	"internal/tcprules":       {"internal/cdb", "internal/control"},
	"internal/tlspolicy":      {"internal/control"},
	"internal/destinations":   {"internal/control"},
	"internal/dkim":           {"internal/header"},
	"internal/dkimsign":       {"internal/control"},
	"internal/tlsrpt":         {"internal/control"},
	"internal/getent":         {"internal/accounts"},
	"internal/wire/account":   {"internal/wire/call"},
	"internal/wire/auth":      {"internal/wire/call", "internal/wire/codec"},
	"internal/wire/entries":   {"internal/wire/codec"},
	"internal/wire/lookup":    {"internal/wire/call"},
	"internal/wire/manage":    {"internal/wire/codec"},
	"internal/wire/mtasts":    {"internal/wire/call"},
	"internal/wire/policy":    {"internal/wire/call", "internal/wire/codec"},
	"internal/wire/milter":    {"internal/wire/submit"},
	"internal/wire/tlspost":   {"internal/wire/call", "internal/wire/codec"},
	"internal/wire/tlsrpt":    {"internal/wire/call", "internal/wire/codec"},
	"internal/wire/tlsseen":   {"internal/wire/call"},
	"internal/wire/sign":      {"internal/wire/call"},
	"internal/wire/spawn":     {"internal/wire/codec"},
	"internal/wire/vlookup":   {"internal/wire/call", "internal/wire/codec", "internal/wire/lookup"},
	"internal/wire/localwork": {"internal/wire/codec", "internal/wire/spawn"}, // a worker answers what a spawner asks
	"qmail-send/retry":        {"qmail-send/timeline"},
	"qmail-send/progress":     {"qmail-send/bounce"},
	"qmail-send/clients":      {"qmail-send/progress"},
	"qmail-send/links":        {"qmail-send/mailbox"},
	"qmail-send/reading":      {"qmail-send/bounce", "qmail-send/progress"},
	"internal/testhost":       {"internal/testhost/moved"},
	"qmail-send/top/readings": {"qmail-send/top/wording"},
	"qmail-send/top/logtail":  {"qmail-send/top/wording"},
	"qmail-send/top/ask":      {"qmail-send/top/readings", "qmail-send/top/wording"},
	"qmail-send/top/picture":  {"qmail-send/top/ask", "qmail-send/top/logtail", "qmail-send/top/readings", "qmail-send/top/wording"},
	"internal/operator":       {"internal/ledger", "internal/testhost"},
	"internal/powercut":       {"internal/ledger", "internal/operator"},
	"internal/bench":          {"internal/bench/account", "internal/bench/load", "internal/bench/report"},
}

// parts is a package of the floor of parts. Only the room above such a package
// imports it, and those that stand beside it in neighbours.
const parts = "qmail-send/timeline"

// testFloor is the floor of the packages that only tests and programs of tests
// may import.
const testFloor = 12

// libraries says who may import what is not ours and not Go's.
var libraries = map[string][]string{
	"golang.org/x/sys/unix": {"*"},
	// Hashes of passwords: the second has those of crypt(3), with nothing else
	// behind them.
	"golang.org/x/crypto/argon2":     {"smtpd/auth"},
	"golang.org/x/crypto/bcrypt":     {"smtpd/auth"},
	"github.com/go-crypt/x/crypt":    {"smtpd/auth"},
	"github.com/go-crypt/x/yescrypt": {"smtpd/auth"},
	// Its tables are those of Unicode 3.2 (RFC 3454) and never change.
	"github.com/xdg-go/stringprep": {"internal/saslprep"},
	// A terminal, without asking other programs what it can do.
	"github.com/gdamore/tcell/v3":       {"qmail-send/top"},
	"github.com/gdamore/tcell/v3/color": {"qmail-send/top"},
	// The text format of Prometheus, in the one process that has no rights.
	"github.com/prometheus/client_model/go": {"qmail-send/metrics"},
	"github.com/prometheus/common/expfmt":   {"qmail-send/metrics"},
	// SPF, with the names looked up by us.
	"blitiri.com.ar/go/spf":                                {"smtpd/policy"},
	"golang.org/x/net/idna":                                {"internal/idn"},
	"github.com/miekg/dns":                                 {"internal/resolver", "internal/resolver/resolvertest", "internal/testhost"},
	"github.com/landlock-lsm/go-landlock/landlock":         {"internal/sandbox"},
	"github.com/landlock-lsm/go-landlock/landlock/syscall": {"internal/sandbox"},
}

// testLibraries may be imported by test files of any package.
var testLibraries = []string{"github.com/hanwen/go-fuse/v2/fuse", "github.com/miekg/dns", "github.com/prometheus/client_model/go", "github.com/prometheus/common/expfmt", "github.com/prometheus/common/model", "github.com/rogpeppe/go-internal/testscript", "golang.org/x/sys/unix"}

// floorOf returns the floor of a package; known is false for a new one.
func floorOf(dir string) (floor int, known bool) {
	for i, names := range floors {
		for _, name := range names {
			parent, all := strings.CutSuffix(name, "/*")
			if name == dir || all && strings.HasPrefix(dir, parent+"/") {
				return i, true
			}
		}
	}
	return 0, false
}

func TestEveryPackageHasAFloor(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for dir := range all {
		if _, known := floorOf(dir); !known {
			t.Errorf("%s is new: decide on which floor it stands", dir)
		}
	}
	for _, names := range floors {
		for _, name := range names {
			if !strings.HasSuffix(name, "/*") && all[name] == nil {
				t.Errorf("%s is in the table and nowhere else", name)
			}
		}
	}
}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	for dir, p := range packages(t) {
		from, _ := floorOf(dir)
		for _, imported := range slices.Sorted(maps.Keys(p.imports)) {
			target, ours := own(imported)
			switch {
			case standard(imported):
			case !ours:
				if allowed := libraries[imported]; !slices.Contains(allowed, dir) && !slices.Contains(allowed, "*") {
					t.Errorf("%s imports the library %s", dir, imported)
				}
			default:
				checkDown(t, dir, from, target)
			}
		}
	}
}

func checkDown(t *testing.T, dir string, from int, target string) {
	t.Helper()
	to, known := floorOf(target)
	partFloor, _ := floorOf(parts)
	switch {
	case !known:
		t.Errorf("%s imports %s, which has no floor", dir, target)
	case to == testFloor && from < testFloor:
		t.Errorf("%s imports %s, which is for tests", dir, target)
	case to == partFloor && from != to && dir != path.Dir(target):
		t.Errorf("%s imports %s, which is a part of %s", dir, target, path.Dir(target))
	case to > from:
		t.Errorf("%s imports %s, which stands on a higher floor", dir, target)
	case to == from && !slices.Contains(neighbours[dir], target):
		t.Errorf("%s imports %s on its own floor", dir, target)
	}
}

// Test files may look further, but rooms stay strangers there too.
func TestTestsKeepRoomsApart(t *testing.T) {
	t.Parallel()
	rooms, _ := floorOf("smtpd")
	for dir, p := range packages(t) {
		from, _ := floorOf(dir)
		for imported := range p.testImports {
			target, ours := own(imported)
			if !ours {
				if !standard(imported) && !slices.Contains(testLibraries, imported) {
					t.Errorf("a test of %s imports the library %s", dir, imported)
				}
				continue
			}
			to, known := floorOf(target)
			if !known {
				t.Errorf("a test of %s imports %s, which has no floor", dir, target)
			}
			if from <= rooms && to == rooms && target != dir {
				t.Errorf("a test of %s imports the room %s", dir, target)
			}
			if part, _ := floorOf(parts); to == part && from != part && dir != path.Dir(target) {
				t.Errorf("a test of %s imports %s, which is a part of %s", dir, target, path.Dir(target))
			}
		}
	}
}

func TestNoBlankImports(t *testing.T) {
	t.Parallel()
	for dir, p := range packages(t) {
		for name, file := range p.files {
			for _, i := range file.Imports {
				if i.Name != nil && (i.Name.Name == "_" || i.Name.Name == ".") {
					t.Errorf("%s/%s imports %s as %s", dir, name, i.Path.Value, i.Name.Name)
				}
			}
		}
	}
}
