package qmail

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/cdb"
	"postrider/internal/migrate"
)

// judge is a qmail, as its manual pages have it: qmail-send(8), qmail-users(5),
// qmail-getpw(8), dot-qmail(5).
type judge struct {
	tree          *migrate.Tree
	home, newHome string
	users         map[string]migrate.Account
	lists         map[string][]string
	assign        *assignTable
	more          *cdb.Reader // morercpthosts.cdb
	loaded        bool
	sets          map[string]map[string]string
	vusers        map[string]map[string]vpopmailUser // by the home of the domain
}

// list returns the lines of a control file. With me, a missing one is that.
func (j *judge) list(name string, me bool) []string {
	if lines, known := j.lists[name]; known {
		return lines
	}
	text, err := j.tree.Read(path.Join(j.home, "control", name))
	if err != nil && me {
		text, _ = j.tree.Read(path.Join(j.home, "control/me"))
		text, _, _ = strings.Cut(text, "\n")
	}
	lines := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \t\n"); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	j.lists[name] = lines
	return lines
}

// set is a list as a table: lines up to their first colon, in small letters. Of
// two, the last counts.
func (j *judge) set(name string, me bool) map[string]string {
	if s := j.sets[name]; s != nil {
		return s
	}
	s := map[string]string{}
	for _, line := range j.list(name, me) {
		key, value, found := strings.Cut(line, ":")
		if !found && (name == "virtualdomains" || strings.HasSuffix(name, "routes")) {
			continue
		}
		s[migrate.Lower(key)] = value
	}
	if j.sets == nil {
		j.sets = map[string]map[string]string{}
	}
	j.sets[name] = s
	return s
}

func (j *judge) has(name string) bool {
	var st unix.Stat_t
	return j.tree.Stat(path.Join(j.home, "control", name), &st) == nil
}

// Decide says what this qmail does with mail for an address.
func (j *judge) Decide(address string) migrate.Outcome {
	return migrate.Outcome{Taken: j.taken(address), Ends: migrate.Expand(address, j.step)}
}

// taken is rcpthosts, as qmail-smtpd has it.
func (j *judge) taken(address string) bool {
	local, domain := migrate.Split(address)
	if !j.has("rcpthosts") || domain == "" && local == address {
		return true
	}
	domain = migrate.Lower(domain)
	if !j.loaded {
		j.loaded = true
		if text, err := j.tree.Read(path.Join(j.home, "control/morercpthosts.cdb")); err == nil {
			j.more, _ = cdb.NewReader(bytes.NewReader([]byte(text)), int64(len(text)))
		}
	}
	for i := range len(domain) {
		if i > 0 && domain[i] != '.' {
			continue
		}
		if _, found := j.set("rcpthosts", false)[domain[i:]]; found {
			return true
		}
		if j.more != nil {
			if _, found, _ := j.more.Get([]byte(domain[i:])); found {
				return true
			}
		}
	}
	return false
}

// step sorts an address as qmail-send does: percenthack, locals, virtualdomains.
func (j *judge) step(address string) (ends, next []string) {
	local, domain := migrate.Split(address)
	if domain == "" && !strings.Contains(address, "@") {
		domain = first(j.list("envnoathost", true))
	}
	for {
		percent := strings.LastIndexByte(local, '%')
		if _, hack := j.set("percenthack", false)[migrate.Lower(domain)]; !hack || percent < 0 {
			break
		}
		local, domain = local[:percent], local[percent+1:]
	}
	if _, is := j.set("locals", true)[migrate.Lower(domain)]; is {
		return j.deliver(local, domain)
	}
	virtual := j.set("virtualdomains", false)
	lower := migrate.Lower(domain)
	prepend, found := virtual[migrate.Lower(local+"@"+domain)]
	for i := 0; i <= len(lower) && !found; i++ {
		if i == 0 || i == len(lower) || lower[i] == '.' {
			prepend, found = virtual[lower[i:]]
		}
	}
	if prepend != "" {
		return j.deliver(prepend+"-"+local, domain)
	}
	return []string{migrate.ToHost(local+"@"+domain, j.via(lower))}, nil
}

func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// via is what smtproutes and qmtproutes say.
func (j *judge) via(domain string) string {
	for i := 0; i <= len(domain); i++ {
		if i > 0 && i < len(domain) && domain[i] != '.' {
			continue
		}
		for _, protocol := range []string{"qmtp", "smtp"} {
			if value, found := j.set(protocol+"routes", false)[domain[i:]]; found {
				value, _, _ = strings.Cut(value, "|")
				value, _, _ = strings.Cut(value, " ")
				return migrate.Relay(protocol, value)
			}
		}
	}
	return ""
}

// account is who has the mail for a local part.
type account struct {
	name, home, dash, ext string
	uid                   uint32
	err                   error
}

// assignment is a line of users/assign.
type assignment struct {
	wild  bool
	local string
	account
}

type assignTable struct {
	all   []assignment
	exact map[string]int
	wild  map[string]int
	db    *accounts.UsersDB // where there is no text
}

// assigned are the lines of users/assign.
func (j *judge) assigned() []assignment {
	return j.assignments().all
}

func (j *judge) assignments() *assignTable {
	if j.assign != nil {
		return j.assign
	}
	j.assign = &assignTable{exact: map[string]int{}, wild: map[string]int{}}
	text, err := j.tree.Read(path.Join(j.home, "users/assign"))
	if errors.Is(err, fs.ErrNotExist) {
		j.assign.db = accounts.NewUsersDB(j.tree.Real(path.Join(j.home, "users/cdb")))
	}
	for line := range strings.Lines(text) {
		if line[0] == '.' {
			break
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		uid, err := strconv.ParseUint(field(f, 2), 10, 32)
		if len(f) < 8 || err != nil || f[0] == "" {
			continue
		}
		a := assignment{line[0] == '+', migrate.Lower(f[0][1:]), account{f[1], f[4], f[5], f[6], uint32(uid), nil}}
		index := j.assign.exact
		if a.wild {
			index = j.assign.wild
		}
		if _, twice := index[a.local]; !twice {
			index[a.local] = len(j.assign.all)
		}
		j.assign.all = append(j.assign.all, a)
	}
	return j.assign
}

func field(f []string, i int) string {
	if i < len(f) {
		return f[i]
	}
	return ""
}

// account finds it by users/assign, then as qmail-getpw does.
func (j *judge) account(local string) account {
	table := j.assignments()
	lower := migrate.Lower(local)
	if i, found := table.exact[lower]; found {
		return table.all[i].account
	}
	for end := len(lower); end >= 0; end-- {
		if i, found := table.wild[lower[:end]]; found {
			a := table.all[i].account
			a.ext += local[end:]
			return a
		}
	}
	if table.db != nil {
		r, err := table.db.Lookup(local)
		if !errors.Is(err, accounts.ErrUnknown) {
			return account{r.User, r.Home, r.Dash, r.Ext, r.UID, err}
		}
	}
	for end := len(local); end >= 0; end-- {
		if end < len(local) && local[end] != '-' || end >= 32 {
			continue
		}
		u, found := j.users[migrate.Lower(local[:end])]
		var st unix.Stat_t
		if !found || u.UID == 0 || j.tree.Stat(u.Home, &st) != nil || st.Uid != u.UID {
			continue
		}
		if end == len(local) {
			return account{u.Name, u.Home, "", "", u.UID, nil}
		}
		return account{u.Name, u.Home, "-", local[end+1:], u.UID, nil}
	}
	alias, found := j.users["alias"]
	if !found {
		alias = migrate.Account{Name: "alias", UID: 1, Home: path.Join(j.home, "alias")}
	}
	return account{alias.Name, alias.Home, "-", local, alias.UID, nil}
}
