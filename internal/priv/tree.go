package priv

import (
	"fmt"
	"io/fs"
)

// User is an account of the suite.
type User struct {
	Name, Group string
	// Home is the home directory below Q.
	Home string
}

// Group is a group of the suite.
type Group struct {
	Name string
	// Members have it as a supplementary group.
	Members []string
}

// Users returns the accounts: qmail's own, so that an existing installation
// keeps them; qmailw, which qmail-lspawn runs as in place of root; qmailk, whose
// process has the private keys; qmaila, whose process has the passwords;
// qmailn, whose process asks name servers; qmailt, whose processes know what
// is to be expected of the TLS of other hosts; qmailu, whose process asks who an
// account is; qmailf, as which filters run; and qmailm, whose process tells what
// is counted.
func Users() []User {
	return []User{
		{Name: "alias", Group: "nofiles", Home: "alias"},
		{Name: "qmaila", Group: "nofiles"},
		{Name: "qmaild", Group: "nofiles"},
		{Name: "qmailk", Group: "nofiles"},
		{Name: "qmailf", Group: "nofiles"},
		{Name: "qmaill", Group: "nofiles"},
		{Name: "qmailm", Group: "nofiles"},
		{Name: "qmailn", Group: "nofiles"},
		{Name: "qmailp", Group: "nofiles"},
		{Name: "qmailq", Group: "qmail"},
		{Name: "qmailr", Group: "qmail"},
		{Name: "qmails", Group: "qmail"},
		{Name: "qmailt", Group: "nofiles"},
		{Name: "qmailu", Group: "nofiles"},
		{Name: "qmailw", Group: "nofiles"},
	}
}

// Groups returns the groups: qmail's own two, the group of queue/drop, which
// nobody but qmailq may have, the group of queue/new, that of
// users/smtppasswd, which nobody but qmaila may have, and that of
// run/metrics.sock, for who may read figures: the administrator adds its members.
func Groups() []Group {
	return []Group{
		{Name: "qmail"},
		{Name: "nofiles"},
		{Name: "qmaila", Members: []string{"qmaila"}},
		{Name: "qmailm"},
		{Name: "qmailq", Members: []string{"qmailq"}},
		{Name: "qmails", Members: []string{"qmailq", "qmails"}},
	}
}

// Entry is a directory, or an empty file, of the installation.
type Entry struct {
	Path        string // below Q
	User, Group string
	Mode        fs.FileMode // permissions, setgid, sticky
	File        bool
	// Keep says that one which exists stays as it is.
	Keep bool
	// Shared is the mode where a classic qmail queue has the directory
	// already: its group stays qmail, so that qmail's programs still work.
	Shared fs.FileMode
}

// Tree returns what an installation needs below Q, parents first.
func Tree() []Entry {
	tree := []Entry{
		{Path: ".", User: "root", Group: "qmail", Mode: 0o755, Keep: true},
		{Path: "bin", User: "root", Group: "qmail", Mode: 0o755, Keep: true},
		{Path: "control", User: "root", Group: "qmail", Mode: 0o755, Keep: true},
		{Path: "users", User: "root", Group: "qmail", Mode: 0o755, Keep: true},
		{Path: "alias", User: "alias", Group: "qmail", Mode: fs.ModeSetgid | 0o755, Keep: true},
		{Path: "policy", User: "qmailn", Group: "qmail", Mode: 0o700},
		{Path: "tlsseen", User: "qmailt", Group: "qmail", Mode: 0o700},
		{Path: "tlsrpt", User: "qmailt", Group: "qmail", Mode: 0o700},
		{Path: "mtasts", User: "qmailt", Group: "qmail", Mode: 0o700},
		{Path: "filter", User: "qmailf", Group: "qmail", Mode: 0o700},
		{Path: "run", User: "root", Group: "qmailm", Mode: fs.ModeSetgid | 0o755},
		{Path: "queue", User: "qmailq", Group: "qmails", Mode: 0o711},
		{Path: "queue/tmp", User: "qmailq", Group: "qmails", Mode: 0o700},
		{Path: "queue/new", User: "qmailq", Group: "qmails", Mode: 0o750},
		{Path: "queue/info", User: "qmails", Group: "qmails", Mode: 0o700},
		{Path: "queue/bad", User: "qmailq", Group: "qmails", Mode: 0o700},
		{Path: "queue/bad/unacked", User: "qmailq", Group: "qmails", Mode: 0o700},
		{Path: "queue/drop", User: "qmailq", Group: "qmailq", Mode: fs.ModeSetgid | fs.ModeSticky | 0o733},
		{Path: "queue/lock", User: "qmailq", Group: "qmails", Mode: 0o751, Shared: 0o751},
		{Path: "queue/lock/spool", User: "qmailq", Group: "qmails", Mode: 0o600, File: true},
		{Path: "queue/lock/sendmutex", User: "qmails", Group: "qmails", Mode: 0o600, File: true},
		{Path: "queue/lock/tcpto", User: "qmailr", Group: "qmail", Mode: 0o600, File: true},
	}
	for i := range buckets {
		name := fmt.Sprintf("%02d", i)
		tree = append(tree,
			Entry{Path: "queue/new/" + name, User: "qmailq", Group: "qmails", Mode: 0o750},
			Entry{Path: "queue/info/" + name, User: "qmails", Group: "qmails", Mode: 0o700})
	}
	return tree
}

// buckets is how many directories queue/new and queue/info are split into; a
// test holds it to that of internal/queuedir, which stands on a higher floor.
const buckets = 100
