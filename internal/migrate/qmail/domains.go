package qmail

import (
	"path"
	"strings"

	"postrider/internal/migrate"
)

// vpopmailUser is a line of vpasswd: name:password:flags:flags:comment:dir:quota.
type vpopmailUser struct {
	name, dir string
	closed    bool
}

// closedFlag is the one of an account whose mail bounces.
const closedFlag = 0x10

// vpopmailUsers are those of a domain's vpasswd, or nothing.
func (j *judge) vpopmailUsers(home string) map[string]vpopmailUser {
	if users, known := j.vusers[home]; known {
		return users
	}
	users := j.readVpasswd(home)
	if j.vusers == nil {
		j.vusers = map[string]map[string]vpopmailUser{}
	}
	j.vusers[home] = users
	return users
}

func (j *judge) readVpasswd(home string) map[string]vpopmailUser {
	text, err := j.tree.Read(path.Join(home, "vpasswd"))
	if err != nil {
		return nil
	}
	all := map[string]vpopmailUser{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) < 7 || f[0] == "" || !strings.HasPrefix(f[5], "/") {
			continue
		}
		flags := 0
		for _, c := range f[3] {
			if c < '0' || c > '9' || flags > 1<<20 {
				flags = 0
				break
			}
			flags = flags*10 + int(c-'0')
		}
		all[migrate.Lower(f[0])] = vpopmailUser{migrate.Lower(f[0]), f[5], flags&closedFlag != 0}
	}
	return all
}

// vdelivermail is a line that runs vpopmail's program.
type vdelivermail struct {
	dir  string // of vpopmail
	word string // what becomes of mail for nobody
}

const vdelivermailName = "/bin/vdelivermail"

// cutVdelivermail takes | /home/vpopmail/bin/vdelivermail ” bounce-no-mailbox
// apart.
func cutVdelivermail(line string) (v vdelivermail, is bool) {
	f := strings.Fields(line)
	if len(f) != 3 || !strings.HasSuffix(f[0], vdelivermailName) || f[1] != "''" && f[1] != `""` {
		return v, false
	}
	v = vdelivermail{strings.TrimSuffix(f[0], vdelivermailName), strings.Trim(f[2], `'"`)}
	return v, strings.HasPrefix(v.dir, "/") && v.word != "" && !strings.ContainsAny(v.word, "$`\\;&|<>()*?")
}

// domains looks for those that vpopmail keeps.
func (r *reader) domains() {
	dir, owner, kept, inSQL := "", "", 0, 0
	for _, a := range r.old.assigned() {
		text, err := r.tree.Read(path.Join(a.home, ".qmail-default"))
		if err != nil || !a.wild {
			continue
		}
		for line := range strings.Lines(text) {
			program, is := strings.CutPrefix(strings.TrimSpace(line), "|")
			v, understood := cutVdelivermail(program)
			if !is || !understood {
				continue
			}
			if _, err := r.tree.Read(path.Join(a.home, "vpasswd.cdb")); err != nil {
				inSQL++
				continue
			}
			kept++
			if dir == "" {
				dir = v.dir
				for _, u := range r.old.users {
					if u.UID == a.uid {
						owner = u.Name
					}
				}
			}
		}
	}
	if kept > 0 {
		r.site.Set("vpopmail", dir)
		r.site.Remark(migrate.Decided, migrate.Where{File: dir}, "vpopmail", "control/vpopmail: the mail of %d domains is delivered without vdelivermail, and who has no mailbox is refused; without the file the program is run as before", kept)
		if owner != "" {
			r.site.Set("vpopmailuser", owner)
		}
	}
	if inSQL > 0 {
		r.site.Remark(migrate.Decided, migrate.Where{File: dir}, "vpopmail", "%d domains have no vpasswd.cdb: their users are in SQL, or the file cannot be read, and vdelivermail is run for them; who has no mailbox is bounced by it, not refused", inSQL)
	}
}
