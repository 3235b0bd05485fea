package testhost

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The account files a host starts with. Programs that add accounts (useradd,
// the suite's own set-up) change them as on any machine.
const (
	firstPasswd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`
	firstGroup = `root:x:0:
daemon:x:1:
bin:x:2:
tty:x:5:
mail:x:8:
users:x:100:
nogroup:x:65534:
`
	firstShadow = "root:*:19000:0:99999:7:::\n"
)

// account is an entry of a host's account files.
type account struct {
	name     string
	uid, gid uint32
	home     string
	groups   []uint32 // supplementary
}

// lookupUser reads the account files below / (it runs in a host's init).
func lookupUser(name string) (account, error) { return accountBelow("/", name) }

// accountBelow reads the account files of the tree at root. It does not use
// os/user, which asks whatever name services the machine is set up with.
func accountBelow(root, name string) (account, error) {
	if name == "" {
		name = "root"
	}
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil {
		return account{}, err
	}
	a := account{}
	for line := range strings.Lines(string(passwd)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) != 7 || f[0] != name {
			continue
		}
		uid, uidErr := strconv.ParseUint(f[2], 10, 32)
		gid, gidErr := strconv.ParseUint(f[3], 10, 32)
		if uidErr != nil || gidErr != nil {
			return account{}, fmt.Errorf("damaged passwd line %q", line)
		}
		a = account{name: name, uid: uint32(uid), gid: uint32(gid), home: f[5]}
	}
	if a.name == "" {
		return account{}, fmt.Errorf("no user %q", name)
	}
	group, err := os.ReadFile(filepath.Join(root, "etc/group"))
	if err != nil {
		return account{}, err
	}
	for line := range strings.Lines(string(group)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) != 4 || !slices.Contains(strings.Split(f[3], ","), name) {
			continue
		}
		if gid, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			a.groups = append(a.groups, uint32(gid))
		}
	}
	return a, nil
}

// AddUser makes an ordinary account with a home directory and an empty
// Maildir, quicker than useradd does. It fails the test if it cannot.
func (h *Host) AddUser(name string) {
	h.t.Helper()
	h.AddUsers(name)
}

// AddUsers makes many ordinary accounts at once.
func (h *Host) AddUsers(names ...string) {
	h.t.Helper()
	h.accountsMu.Lock()
	defer h.accountsMu.Unlock()
	var passwd, group, shadow strings.Builder
	for _, name := range names {
		id := firstUserID + h.users
		h.users++
		fmt.Fprintf(&passwd, "%s:x:%d:%d::/home/%s:/bin/sh\n", name, id, id, name)
		fmt.Fprintf(&group, "%s:x:%d:\n", name, id)
		fmt.Fprintf(&shadow, "%s:*:19000:0:99999:7:::\n", name)
		if err := h.makeHome(name, id); err != nil {
			h.t.Fatalf("%s: home of %s: %v", h.Name, name, err)
		}
	}
	for file, text := range map[string]string{
		"/etc/passwd": passwd.String(), "/etc/group": group.String(), "/etc/shadow": shadow.String(),
	} {
		if err := appendFile(h.Path(file), text); err != nil {
			h.t.Fatalf("%s: %v", h.Name, err)
		}
	}
}

// firstUserID leaves useradd's first numbers (1000 ...) free.
const firstUserID = 5000

func (h *Host) makeHome(name string, id int) error {
	home := h.Path("/home/" + name)
	for _, dir := range []string{"", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"} {
		dir = filepath.Join(home, dir)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if h.net.singleUser {
			continue
		}
		if err := os.Chown(dir, id, id); err != nil {
			return err
		}
	}
	return os.Chmod(home, 0o755)
}

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// UserID returns the number of a user of the host.
func (h *Host) UserID(name string) int {
	h.t.Helper()
	a, err := accountBelow(h.Path("/"), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return int(a.uid)
}

// GroupID returns the number of a group of the host.
func (h *Host) GroupID(name string) int {
	h.t.Helper()
	for line := range strings.Lines(h.ReadFile("/etc/group")) {
		if f := strings.Split(line, ":"); len(f) == 4 && f[0] == name {
			gid, err := strconv.Atoi(f[2])
			if err != nil {
				h.t.Fatal(err)
			}
			return gid
		}
	}
	h.t.Fatalf("no group %q", name)
	return -1
}
