package sendmail

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postrider/internal/migrate"
)

// Directory is where the configuration usually is.
const Directory = "/etc/mail"

// config is what was read of Sendmail, as far as a decision depends on it.
type config struct {
	tree  *migrate.Tree
	host  string // its name, $j
	users map[string]migrate.Account
	local map[string]bool // class w
	// virtual are the domains whose addresses are in virtusertable and that are
	// not in class w.
	virtual  map[string]bool
	relayed  map[string]bool
	exact    bool // a relayed domain does not stand for those below it
	vusers   table
	mailers  table
	access   table
	aliases  map[string]alias
	smart    string
	null     bool // everything goes to smart
	luser    string
	features map[string]bool
}

// reader makes a site of it.
type reader struct {
	*config
	dir   string
	file  string // the mc or cf file
	site  *migrate.Site
	calls []call
	rules []string
	// people are who gets mail.
	people []migrate.Account
}

// Read reads the configuration in a directory of a tree. The judge says what
// Sendmail does by it.
func Read(tree *migrate.Tree, dir string) (*migrate.Site, migrate.Judge, error) {
	users, err := migrate.Accounts(tree)
	if err != nil {
		return nil, nil, err
	}
	c := &config{tree: tree, users: users, local: map[string]bool{}, virtual: map[string]bool{}, relayed: map[string]bool{},
		aliases: map[string]alias{}, features: map[string]bool{}}
	r := &reader{config: c, dir: dir, site: migrate.New("Sendmail")}
	if err := r.macros(); err != nil {
		return nil, nil, err
	}
	if err := r.name(); err != nil {
		return nil, nil, err
	}
	for _, part := range []func() error{r.settings, r.classes, r.tables, r.aliasFiles} {
		if err := part(); err != nil {
			return nil, nil, err
		}
	}
	r.hosts()
	r.accessRules()
	r.virtusers()
	r.mailertable()
	r.delivery()
	r.site.Control["tcp.smtp"] = append(r.rules, `127.0.0.0/8:allow,RELAYCLIENT=""`, `::1:allow,RELAYCLIENT=""`, ":allow")
	return r.site, c, nil
}

// macros reads sendmail.mc, or where there is none what sendmail.cf says.
func (r *reader) macros() error {
	r.file = path.Join(r.dir, "sendmail.mc")
	text, err := r.tree.Read(r.file)
	if err == nil {
		r.calls = calls(text)
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.file = path.Join(r.dir, "sendmail.cf")
	if text, err = r.tree.Read(r.file); err != nil {
		return err
	}
	r.calls = fromCF(text)
	r.site.Remark(migrate.Decided, migrate.Where{File: r.file}, "sendmail.cf", "there is no sendmail.mc: options, classes and tables are taken from the cf file; features that are rules in it, and rules of one's own, are not seen")
	return nil
}

func (r *reader) at(c call) migrate.Where { return migrate.Where{File: r.file, Line: c.line} }

// name finds out what the host is called.
func (r *reader) name() error {
	text, err := r.tree.Read("/etc/hostname")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.host = migrate.Lower(strings.TrimSpace(text))
	for _, c := range r.calls {
		if c.name == "define" && len(c.args) > 1 && c.args[0] == "confDOMAIN_NAME" && !strings.Contains(c.args[1], "$") {
			r.host = migrate.Lower(strings.TrimSuffix(c.args[1], "."))
		}
	}
	if r.host == "" {
		return errors.New("the name of the host is neither in " + r.tree.Outside("/etc/hostname") + " nor in confDOMAIN_NAME")
	}
	r.site.Set("me", r.host)
	r.site.Set("delaywarn", "14400")
	return nil
}

// settings goes through the calls.
func (r *reader) settings() error {
	for _, c := range r.calls {
		list, name, value := features, c.name, ""
		switch {
		case len(c.args) == 0:
		case c.name == "define":
			list, name = defines, c.args[0]
			if len(c.args) > 1 {
				value = c.args[1]
			}
			if slices.Contains([]string{"SMART_HOST", "LUSER_RELAY"}, name) {
				r.keep(name, value)
			}
		case c.name == "FEATURE":
			name = c.args[0]
			r.features[name] = true
		default:
			value = c.args[0]
		}
		what := strings.TrimSpace(name + " " + value)
		s, known := lookUp(list, name)
		switch {
		case !known && slices.Contains(quiet, name):
			continue
		case !known && c.name != "define" && c.name != "FEATURE":
			continue // a macro of the site's own, or text
		case !known:
			r.site.Remark(migrate.Lost, r.at(c), what, "this is not known; if it changes where mail goes or who may send it, look for it in cf/README")
			continue
		case s.text == "":
			continue
		}
		text := s.text
		if s.file != "" && s.kind == migrate.Carried {
			text = "control/" + s.file + ": " + text
		}
		r.site.Remark(s.kind, r.at(c), what, "%s", text)
		if s.take != nil {
			s.take(r, c, value)
		}
	}
	return nil
}

func (r *reader) keep(name, value string) {
	if name == "SMART_HOST" {
		r.smart = value
	} else {
		r.luser = value
	}
}

// define returns the value of a name.
func (r *reader) define(name, usual string) string {
	for _, c := range r.calls {
		if c.name == "define" && len(c.args) > 1 && c.args[0] == name {
			usual = c.args[1]
		}
	}
	return usual
}

// readIf reads a file, which need not be there.
func (r *reader) readIf(name string) (text string, err error) {
	text, err = r.tree.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

// classes are class w, the domains of virtusertable, and those that are relayed.
func (r *reader) classes() error {
	r.local["localhost"], r.local[r.host] = true, true
	files := map[string]map[string]bool{
		r.define("confCW_FILE", path.Join(r.dir, "local-host-names")): r.local,
		path.Join(r.dir, "relay-domains"):                             r.relayed,
	}
	for _, c := range r.calls {
		if len(c.args) == 0 {
			continue
		}
		set := map[string]map[string]bool{"LOCAL_DOMAIN": r.local, "VIRTUSER_DOMAIN": r.virtual, "RELAY_DOMAIN": r.relayed}[c.name]
		for _, name := range strings.Fields(c.args[0]) {
			if set != nil {
				set[migrate.Lower(name)] = true
			}
		}
		switch fields := strings.Fields(c.args[0]); {
		case len(fields) == 0:
		case c.name == "class-w-file":
			files[fields[len(fields)-1]] = r.local
		case c.name == "VIRTUSER_DOMAIN_FILE":
			files[fields[len(fields)-1]] = r.virtual
		case c.name == "RELAY_DOMAIN_FILE":
			files[fields[len(fields)-1]] = r.relayed
		}
	}
	for file, set := range files {
		text, err := r.readIf(file)
		if err != nil {
			return err
		}
		for _, name := range names(text) {
			set[name] = true
		}
	}
	r.exact = r.features["relay_hosts_only"]
	return nil
}

// tables reads the sources of those that features put into use.
func (r *reader) tables() error {
	for _, t := range []struct {
		feature string
		file    string
		to      *table
	}{
		{"virtusertable", "virtusertable", &r.vusers}, {"mailertable", "mailertable", &r.mailers}, {"access_db", "access", &r.access},
	} {
		file := path.Join(r.dir, t.file)
		text, err := r.tree.Read(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if r.features[t.feature] {
				r.site.Remark(migrate.Lost, migrate.Where{File: file}, t.file, "%v: the table has another place or no source; put one there", err)
			}
			continue
		case err != nil:
			return err
		case !r.features[t.feature]:
			r.site.Remark(migrate.Decided, migrate.Where{File: file}, t.file, "no FEATURE names it: it is not in use")
			continue
		}
		t.to.entries, t.to.index = entries(text, file)
	}
	return nil
}

// hosts are the local and the relayed domains, and the places where mail is taken.
func (r *reader) hosts() {
	r.site.Control["locals"], r.site.Control["rcpthosts"] = []string{}, []string{}
	for _, name := range sorted(r.local) {
		if _, own := r.mailers.find(name); own || r.null {
			continue // its mail goes elsewhere
		}
		r.site.Host(name)
	}
	for _, name := range sorted(r.virtual) {
		r.site.Add("rcpthosts", name)
	}
	for _, name := range sorted(r.relayed) {
		r.relayFor(name, migrate.Where{File: path.Join(r.dir, "relay-domains")})
	}
	r.people = r.site.People(r.tree, r.users)
	for _, a := range r.people {
		r.site.Probes = append(r.site.Probes, a.Name+"@"+r.host)
	}
	r.listeners()
}

// listeners are DAEMON_OPTIONS.
func (r *reader) listeners() {
	r.site.Control["smtplisten"] = []string{}
	for _, c := range r.calls {
		text := ""
		switch {
		case c.name == "DAEMON_OPTIONS" && len(c.args) > 0:
			text = c.args[0]
		case c.name == "define" && len(c.args) > 1 && c.args[0] == "confDAEMON_PORT":
			text = c.args[1]
		default:
			continue
		}
		o := options(text)
		port := map[string]string{"": "25", "smtp": "25", "submission": "587", "smtps": "465", "submissions": "465"}[o['p']]
		if port == "" {
			port = o['p']
		}
		line := strings.Trim(o['a'], "[]") + ":" + port
		if strings.Contains(o['a'], ":") {
			line = "[" + strings.TrimPrefix(strings.Trim(o['a'], "[]"), "IPv6:") + "]:" + port
		}
		if strings.Contains(o['m'], "s") {
			line += " tls"
		}
		if port == "587" || strings.Contains(o['m'], "a") {
			line += " submission"
		}
		r.site.Add("smtplisten", line)
	}
	if len(r.site.Control["smtplisten"]) == 0 {
		r.site.Add("smtplisten", ":25")
		if !r.features["no_default_msa"] {
			r.site.Add("smtplisten", ":587 submission")
		}
	}
}

// delivery is what happens to mail of a user who says nothing himself.
func (r *reader) delivery() {
	r.site.Delivery = "./Mailbox"
	if r.features["local_procmail"] {
		r.site.Delivery = "|preline " + r.define("PROCMAIL_MAILER_PATH", "/usr/bin/procmail")
	}
	r.site.Set("dotforward", "1")
	r.site.Set("break", "+")
	r.site.Remark(migrate.Step, migrate.Where{}, "qmail-start", "start it with '%s' for users without a .qmail file; Sendmail delivers to mbox files in /var/mail: link or move them, or use Maildirs (./Maildir/)", r.site.Delivery)
	if to := r.luser; to != "" {
		if rest, found := strings.CutPrefix(to, "local:"); found {
			to = rest
		}
		if strings.Contains(to, ":") {
			r.site.Remark(migrate.Lost, migrate.Where{File: r.file}, "LUSER_RELAY "+to, "mail for nobody goes to an address, in alias/.qmail-default")
			return
		}
		r.site.Files["alias/.qmail-default"] = migrate.File{Text: "&" + r.qualified(to) + "\n", Mode: 0o644}
	}
}

func (c *config) qualified(address string) string {
	if strings.Contains(address, "@") {
		return address
	}
	return address + "@" + c.host
}

func sorted(set map[string]bool) []string {
	var all []string
	for name := range set {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
