package start

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/control"
	"postrider/internal/handover"
	"postrider/internal/listener"
	"postrider/internal/listenfds"
	"postrider/internal/priv"
	"postrider/internal/tlsrpt"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

const (
	defaultDelivery = "./Mailbox" // as qmail; our own scripts pass ./Maildir/
	defaultRemotes  = 2
	maxRemotes      = 64
	defaultDrain    = 300 // seconds
	maxDrain        = 86400
)

// settings is what the administrator says.
type settings struct {
	delivery []byte // instructions for who has no .qmail file
	environ  []byte // frame data: what users' programs will inherit
	wrapped  bool   // a program delivers to other hosts, in place of qmail-remote
	logger   []string
	logsJSON bool // lines of the log are JSON objects
	remotes  int
	// setuidPrograms is that of priv.Policy.
	setuidPrograms bool
	endpoints      []endpoint
	inherited      []inheritedSocket
	handed         *inheritance // nil: there is no predecessor
	// keys are the frames that hand over private keys; none if there is no TLS.
	keys     []parent.Frame
	openKeys func() ([]parent.Frame, error)
	// clientKey and openClientKey are the same for the key of qmail-remote.
	clientKey     []parent.Frame
	openClientKey func() ([]parent.Frame, error)
	// dkimKeys and openDKIMKeys are the same for those that sign messages.
	dkimKeys     []parent.Frame
	openDKIMKeys func() ([]parent.Frame, error)
	// checksPasswords is the program that does; none if nobody can log in.
	checksPasswords *priv.Role
	// asksPolicy says that qmail-smtpd has something to ask qmail-policy.
	asksPolicy bool
	// networkUsers are the uids as whom mail from the network is handed in.
	networkUsers []string
	rewriting    []byte // what internal/srs needs; nil: senders are not rewritten
	asksNSS      bool   // the machine has accounts beyond /etc/passwd
	asksMTASTS   bool   // qmail-remote asks qmail-mtasts
	// looksIntoDomains is qmail-vlookup; none if qmail-lookup looks itself.
	looksIntoDomains *priv.Role
	// remembersTLS says that qmail-remote has qmail-tlsseen remember hosts.
	remembersTLS bool
	reportsTLS   bool // qmail-remote tells qmail-tlsrpt what it finds
	filters      bool // some client's mail passes a program or milters
	metrics      bool // qmail-metrics tells what is counted
	// drainLimit is how long sessions may go on in a process that is replaced.
	drainLimit time.Duration
}

// service is what can be listened for.
type service struct {
	file     string   // says where
	missing  string   // is its line if it does not exist
	words    []string // may follow an address in it
	program  string   // serves
	listener string   // is what the program calls its sockets
	// spare says that the suite does without it where the address is taken.
	spare bool
}

// services returns all.
func services() []service {
	return []service{
		{file: "smtplisten", missing: ":25", words: listener.SMTPWords, program: "qmail-smtpd", listener: parent.ListenSMTP},
		{file: "qmtplisten", program: "qmail-qmtpd", listener: parent.ListenQMTP},
		{file: "qmqplisten", program: "qmail-qmqpd", listener: parent.ListenQMQP},
		{file: "metricslisten", program: reader, listener: parent.ListenMetrics, spare: true},
	}
}

// endpoint is an address to listen on for a service.
type endpoint struct {
	listener.Address
	service service
	words   []string
}

// serves reports whether there is something for a program to listen on.
func (set settings) serves(program string) bool {
	return slices.ContainsFunc(set.endpoints, func(at endpoint) bool { return at.service.program == program })
}

func readSettings(w world.World) (settings, error) {
	s := settings{delivery: []byte(defaultDelivery), environ: parent.EncodeEnvironment(handover.Strip(listenfds.Strip(w.Environ)))}
	s.wrapped = namesRemoteProgram(w.Environ)
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
	if s.logsJSON, err = logsJSON(dir); err != nil {
		return s, err
	}
	if s.remotes, err = readRemotes(dir); err != nil {
		return s, err
	}
	seconds, err := dir.Int("upgradedrain", defaultDrain)
	if err != nil {
		return s, err
	}
	s.drainLimit = time.Duration(min(max(0, seconds), maxDrain)) * time.Second
	if s.asksMTASTS, err = asksMTASTS(dir); err != nil {
		return s, err
	}
	if s.remembersTLS, err = remembersTLS(dir); err != nil {
		return s, err
	}
	if _, s.reportsTLS, err = tlsrpt.Read(dir); err != nil {
		return s, err
	}
	s.filters = namesFilters(dir)
	if _, s.metrics, err = dir.List("metricslisten"); err != nil {
		return s, err
	}
	for _, v := range services() {
		if err := s.readEndpoints(dir, v); err != nil {
			return s, err
		}
	}
	if s.asksNSS, err = asksNSS(dir); err != nil {
		return s, err
	}
	network, err := networkUsers()
	if err != nil {
		return s, err
	}
	for _, uid := range network {
		s.networkUsers = append(s.networkUsers, strconv.FormatUint(uint64(uid), 10))
	}
	if s.rewriting, err = readRewriting(dir); err != nil {
		return s, err
	}
	s.asksPolicy, err = asksPolicy(dir)
	return s, err
}

// namesFilters reports whether there may be a use for qmail-filter. Files that
// cannot be read are the business of those who obey them.
func namesFilters(dir control.Dir) bool {
	rules, present, rulesErr := dir.Text("tcp.smtp")
	if !present && rulesErr == nil {
		rules, _, rulesErr = dir.Text("tcp.smtp.cdb")
	}
	most, mostErr := dir.Line("concurrencyfilter", "")
	milters, _, miltersErr := dir.List("milters")
	return rulesErr != nil || mostErr != nil || miltersErr != nil || most != "" || len(milters) > 0 || strings.Contains(rules, "QMAILQUEUE=")
}

// readRemotes reads how many qmail-remote there are.
func readRemotes(dir control.Dir) (int, error) {
	n, err := dir.Int("remoteworkers", defaultRemotes)
	if err == nil && (n < 1 || n > maxRemotes) {
		err = fmt.Errorf("%s/remoteworkers: %d is not between 1 and %d", dir, n, maxRemotes)
	}
	return n, err
}

func (set *settings) readEndpoints(dir control.Dir, v service) error {
	add := func(line string) error {
		addresses, words, err := listener.Parse(line, v.words)
		if err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		for _, address := range addresses {
			set.endpoints = append(set.endpoints, endpoint{address, v, words})
		}
		return nil
	}
	present, err := dir.Each(v.file, add)
	if err == nil && !present && v.missing != "" {
		err = add(v.missing)
	}
	return err
}

// readFiles opens the private keys, and finds out who checks passwords and who
// looks into domains of vpopmail.
func (set *settings) readFiles(in priv.Installation) error {
	keys := keyFiles{filepath.Join(in.Home, "control"), in.UID}
	if err := set.readKeys(keys); err != nil {
		return err
	}
	if err := set.readClientKey(keys); err != nil {
		return err
	}
	if err := set.readDKIM(keys); err != nil {
		return err
	}
	if err := set.readDomainsUser(in); err != nil {
		return err
	}
	return set.readPasswords(in)
}

// readKeys opens the private keys, if there are any, for who needs them.
func (set *settings) readKeys(files keyFiles) error {
	if !set.serves("qmail-smtpd") {
		return nil
	}
	present, err := files.present()
	if err == nil && present {
		set.openKeys = files.open
		set.keys, err = files.open()
	}
	if err != nil {
		return err
	}
	for _, at := range set.endpoints {
		if !present && slices.Contains(at.words, "tls") {
			return fmt.Errorf("control/%s: %v is for TLS, which needs control/%s", at.service.file, at.AddrPort, certFile)
		}
	}
	return nil
}
