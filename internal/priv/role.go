package priv

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/sandbox"
)

// Modes of programs. A daemon cannot be read by the user it runs as, so that
// this user can neither trace it nor read its memory.
const (
	modeDaemon = 0o711
	modeUser   = 0o755
)

// What a confined program does with a directory: reads it, keeps files of its
// own there, or moves them from there to another.
const (
	look = sandbox.Read | sandbox.List
	own  = look | sandbox.Write | sandbox.Create | sandbox.Remove
	keep = own | sandbox.Move
)

// Role is one row of the table: what a daemon is given and allowed.
type Role struct {
	// Program is its name in Q/bin.
	Program string
	// User and Group name its identity. They are empty for a program that
	// runs as the user whose mail it handles.
	User, Group string
	// ChosenBy is the control file that may name another user, for a program that
	// is not confined even root. The row then stands for that one (Chosen).
	ChosenBy string
	// Groups are the supplementary groups, exactly.
	Groups []string
	// Caps are the capabilities, exactly. Only the program itself has them:
	// nothing that it starts inherits one.
	Caps []uintptr
	// Confined says that the program starts nothing and is held to Files,
	// Calls and Connects (internal/sandbox). The others start programs of
	// users, who would be held to the same for ever.
	Confined bool
	// Files are what a confined program can open, absolute or below Q; what
	// is not there is left out.
	Files []sandbox.File
	// Calls are the kinds of system calls that it needs beyond the plain ones.
	Calls Calls
	// Connects says that it may connect to other hosts.
	Connects bool
	// AsksNames says that it may ask name servers: by TCP it may connect to
	// their port alone.
	AsksNames bool
	// AsksWeb says the same of web servers, that speak TLS.
	AsksWeb bool
	Umask   int
	// Dir is the working directory: absolute, or below Q.
	Dir string
	// Links are the names of the links and sockets that it may receive from
	// qmail-start; "*" stands for a number.
	Links []string
	// Forward lists the signals that qmail-start passes on to it.
	Forward []syscall.Signal
	// Classic says that the program also has qmail's own form, started by
	// somebody else without a control channel, with that caller's identity.
	Classic bool
	// May and MayNot are the right and the limit in words.
	May, MayNot string
}

// Roles returns the table in the order in which qmail-start starts it.
func Roles() []Role {
	return []Role{
		{
			Program: "qmail-start", User: "root", Group: "root",
			Caps:  []uintptr{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_KILL, unix.CAP_NET_BIND_SERVICE},
			Umask: 0o077, Dir: "/",
			May:    "open listening sockets, keys and links; start, restart and stop the others with their uid and descriptors",
			MayNot: "read a byte from the network, from users, from the queue or from the daemons",
		},
		{
			Program: "qmail-spool", User: "qmailq", Group: "qmails", Groups: []string{"qmailq"},
			Confined: true, Umask: 0o027, Dir: "queue",
			Files: []sandbox.File{
				{Path: "queue", Access: sandbox.List},
				{Path: "queue/tmp", Access: keep}, {Path: "queue/new", Access: keep | sandbox.MakeDir},
				// What is set aside comes from both; Landlock moves a file only to where
				// no more may be done with it.
				{Path: "queue/bad", Access: keep &^ sandbox.Write},
				{Path: "queue/drop", Access: sandbox.Read | sandbox.List | sandbox.Remove | sandbox.Move},
				{Path: "queue/lock/spool", Access: sandbox.Read | sandbox.Write},
				{Path: "control", Access: look},
				{Path: accounts.PasswdFile, Access: sandbox.Read},
			},
			Calls:  ChangeFiles | WatchFiles,
			Links:  []string{"public", "submit.smtpd", "submit.qmtpd", "submit.qmqpd", "submit.send", "submit.tlsrpt", "entries"},
			May:    "write queue/tmp, queue/new, queue/bad and queue/drop; answer on the public socket",
			MayNot: "use the network, read other files, execute",
		},
		{
			Program: "qmail-send", User: "qmails", Group: "qmails",
			Confined: true, Umask: 0o077, Dir: "queue",
			Files: []sandbox.File{
				{Path: "control", Access: look},
				{Path: "queue/new", Access: look}, {Path: "queue/info", Access: keep | sandbox.MakeDir},
				{Path: "queue/lock/sendmutex", Access: sandbox.Write},
			},
			Calls:   ChangeFiles | MakeMessages,
			Links:   []string{"manage", "entries", "submit", "spawn.local", "spawn.remote.*"},
			Forward: []syscall.Signal{syscall.SIGHUP, syscall.SIGALRM},
			May:     "read queue/new and control; write queue/info; answer on the socket for who manages the queue",
			MayNot:  "use the network, change queue/new, read users' files, execute",
		},
		{
			Program: "qmail-lspawn", User: "qmailw", Group: "nofiles",
			Caps:  []uintptr{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL},
			Umask: 0o077, Dir: "/",
			Links:  []string{"spawn", "nss"},
			May:    "read users/cdb and passwd; start workers as a recipient's user and kill them",
			MayNot: "start anything as uid 0 or below the minimum uid, open messages, use the network, believe a uid that it is told",
		},
		{
			Program: "qmail-local", Umask: 0o077, Dir: "/", Classic: true,
			May:    "what its user may",
			MayNot: "touch anything of another user",
		},
		{
			// It parses what anybody's web server says, and qmail-remote does not.
			Program: "qmail-mtasts", User: "qmailt", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/", Classic: true,
			Files:     []sandbox.File{{Path: "mtasts", Access: own}, {Path: resolvConf, Access: look}},
			Calls:     ChangeFiles | Internet,
			AsksNames: true, AsksWeb: true,
			Links:  []string{"mtasts.remote.*"},
			May:    "ask DNS; fetch policies of MTA-STS by HTTPS; keep them in mtasts",
			MayNot: "open other files, connect to other ports by TCP, listen, execute",
		},
		{
			Program: "qmail-tlsseen", User: "qmailt", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/",
			Files:  []sandbox.File{{Path: "tlsseen", Access: own}},
			Calls:  ChangeFiles,
			Links:  []string{"tlsseen.remote.*"},
			May:    "keep in tlsseen which hosts have spoken TLS",
			MayNot: "open other files, use the network, execute",
		},
		{
			// It sends mail, and so cannot be part of qmail-tlsseen.
			Program: "qmail-tlsrpt", User: "qmailt", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/",
			Files:     []sandbox.File{{Path: "control", Access: look}, {Path: "tlsrpt", Access: own}, {Path: resolvConf, Access: look}},
			Calls:     ChangeFiles | Internet,
			AsksNames: true,
			Links:     []string{"tlsrpt.remote.*", "submit", "tlspost"},
			May:       "ask DNS; keep in tlsrpt what sessions found of TLS; hand in reports of that",
			MayNot:    "open other files, connect to other ports by TCP, listen, execute",
		},
		{
			// It parses what anybody's web server says, and qmail-tlsrpt, which sends
			// mail, does not.
			Program: "qmail-tlspost", User: "qmailt", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/",
			Files:     []sandbox.File{{Path: resolvConf, Access: look}},
			Calls:     Internet,
			AsksNames: true, AsksWeb: true,
			Links:  []string{"tlspost.tlsrpt"},
			May:    "ask DNS; send reports about TLS by HTTPS",
			MayNot: "open other files, connect to other ports by TCP, listen, execute",
		},
		{
			Program: "qmail-remote", User: "qmailr", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/", Classic: true,
			Files: []sandbox.File{
				{Path: "control", Access: look}, {Path: resolvConf, Access: look},
				{Path: "queue/lock/tcpto", Access: sandbox.Read | sandbox.Write},
			},
			Calls:    AskKernel | Internet,
			Connects: true,
			Links:    []string{"spawn", "mtasts", "tlsseen", "tlsrpt", "sign", "dkim"},
			May:      "read the message descriptors that it is handed; ask DNS; connect to mail hosts",
			MayNot:   "write other files than queue/lock/tcpto, see other messages, listen, execute",
		},
		{
			Program: "qmail-rspawn", User: "qmailr", Group: "nofiles",
			Umask: 0o077, Dir: "/",
			Links:  []string{"spawn"},
			May:    "run the program that QMAILREMOTE names, and kill it",
			MayNot: "run another program; read the queue or users' files",
		},
		{
			Program: "qmail-smtpd", User: "qmaild", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/", Classic: true,
			Files:  []sandbox.File{{Path: "control", Access: look}},
			Calls:  AskKernel,
			Links:  []string{"submit", "lookup", "policy", "filter", "sign", "auth", "listen.smtp"},
			May:    "accept connections; hand in messages",
			MayNot: "read the queue, a private key or a password; connect out; execute",
		},
		{
			Program: "qmail-qmtpd", User: "qmaild", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/", Classic: true,
			Files:  []sandbox.File{{Path: "control", Access: look}},
			Links:  []string{"submit", "lookup", "listen.qmtp"},
			May:    "accept connections; hand in messages",
			MayNot: "read the queue; connect out; execute",
		},
		{
			Program: "qmail-qmqpd", User: "qmaild", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/", Classic: true,
			Files:  []sandbox.File{{Path: "control", Access: look}},
			Links:  []string{"submit", "listen.qmqp"},
			May:    "accept connections; hand in messages",
			MayNot: "read the queue; connect out; execute",
		},
		{
			Program: "qmail-tlskey", User: "qmailk", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/",
			Links:  []string{"sign.smtpd", "sign.remote.*", "dkim.remote.*"},
			May:    "read the key files that it is handed; sign digests with them",
			MayNot: "open files, use the network, execute",
		},
		{
			Program: "qmail-auth", User: "qmaila", Group: "nofiles", Groups: []string{"qmaila"},
			Confined: true, Umask: 0o077, Dir: "/",
			Files:  []sandbox.File{{Path: "users", Access: look}},
			Links:  []string{"auth.smtpd"},
			May:    "read users/smtppasswd; say whether a password is right",
			MayNot: "use the network, execute",
		},
		{
			Program: "qmail-checkpass", User: "qmaila", Group: "nofiles", ChosenBy: "checkpassuser",
			Umask: 0o077, Dir: "/",
			Links:  []string{"auth.smtpd"},
			May:    "run the program in control/checkpassword, as the user in control/checkpassuser",
			MayNot: "touch the queue, use the network itself",
		},
		{
			// Homes are anywhere, and of the others nobody gets at more than
			// what everybody may read.
			Program: "qmail-lookup", User: "qmailp", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/", Classic: true,
			Files:  []sandbox.File{{Path: "/", Access: look}},
			Links:  []string{"lookup.smtpd", "lookup.qmtpd", "nss", "vlookup"},
			May:    "look at control, users/cdb, passwd, and in homes at what everybody may read; say whether an address has a mailbox",
			MayNot: "write, use the network, execute",
		},
		{
			// It looks where only that user may.
			Program: "qmail-vlookup", User: "qmailp", Group: "nofiles", ChosenBy: "vpopmailuser",
			Confined: true, Umask: 0o077, Dir: "/",
			Files:  []sandbox.File{{Path: "/", Access: look}},
			Links:  []string{"vlookup.lookup"},
			May:    "look at control, and in homes at what the user in control/vpopmailuser may read; say whether there is a mailbox",
			MayNot: "write, use the network, execute",
		},
		{
			// The modules of the C library want files, sockets, and servers.
			Program: "qmail-nss", User: "qmailu", Group: "nofiles",
			Umask: 0o077, Dir: "/",
			Links:  []string{"nss.lspawn", "nss.lookup"},
			May:    "run getent, and kill it; say who an account is that is not in /etc/passwd",
			MayNot: "run another program; read the queue or users' files",
		},
		{
			// qmail-smtpd has clients to talk to and connects to nobody.
			Program: "qmail-policy", User: "qmailn", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/",
			Files:     []sandbox.File{{Path: "policy", Access: own}, {Path: resolvConf, Access: look}},
			Calls:     ChangeFiles | Internet,
			AsksNames: true,
			Links:     []string{"policy.smtpd"},
			May:       "ask DNS; keep the greylist in policy",
			MayNot:    "open other files, connect to other ports by TCP, listen, execute",
		},
		{
			Program: "qmail-filter", User: "qmailf", Group: "nofiles",
			Umask: 0o077, Dir: "/",
			Links:  []string{"filter.smtpd"},
			May:    "run the programs that control/tcp.smtp names, and kill them; connect to milters in control/milters; keep messages in filter/",
			MayNot: "run another program; read the queue or users' files",
		},
		{
			// It speaks HTTP with whoever may connect, and has nothing to lose: the
			// memory that it reads it cannot write.
			Program: "qmail-metrics", User: "qmailm", Group: "nofiles",
			Confined: true, Umask: 0o077, Dir: "/",
			Links:  []string{"listen.metrics"},
			May:    "accept connections; read the memory in which the others count",
			MayNot: "write there, open files, connect, execute",
		},
	}
}

// RoleOf returns the row of a program.
func RoleOf(program string) (r Role, found bool) {
	for _, r := range Roles() {
		if r.Program == program {
			return r, true
		}
	}
	return Role{}, false
}

// Logger is the identity of the log program that qmail-start is given.
func Logger() Role {
	return Role{Program: "logger", User: "qmaill", Group: "nofiles", Umask: 0o077, Dir: "/",
		May: "read the log, write where its own arguments say", MayNot: "everything else"}
}

// Mode returns the mode of a program's file in Q/bin.
func Mode(program string) fs.FileMode {
	if _, daemon := RoleOf(program); daemon {
		return modeDaemon
	}
	return modeUser
}
