package priv

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost/raced"
)

func TestRolesAreComplete(t *testing.T) {
	t.Parallel()
	users, groups := make(map[string]bool), map[string]bool{}
	for _, u := range Users() {
		users[u.Name] = true
	}
	for _, g := range Groups() {
		groups[g.Name] = true
		for _, m := range g.Members {
			if !users[m] {
				t.Errorf("member %s of group %s is no user", m, g.Name)
			}
		}
	}
	for _, r := range append(Roles(), Logger()) {
		if r.May == "" || r.MayNot == "" || r.Umask == 0 || r.Dir == "" {
			t.Errorf("%s: the row is not complete", r.Program)
		}
		switch r.Program {
		case "qmail-start":
			continue // root
		case "qmail-local":
			if r.User != "" || r.Group != "" {
				t.Error("qmail-local has a fixed user")
			}
			continue
		}
		if !users[r.User] {
			t.Errorf("%s: %q is no user", r.Program, r.User)
		}
		for _, g := range append(slices.Clone(r.Groups), r.Group) {
			if !groups[g] {
				t.Errorf("%s: %q is no group", r.Program, g)
			}
		}
		if starts := r.Program == "qmail-start" || r.Program == "qmail-lspawn"; starts != (len(r.Caps) > 0) {
			t.Errorf("%s has capabilities: %v", r.Program, r.Caps)
		}
		if Mode(r.Program) != 0o711 && r.Program != "logger" {
			t.Errorf("%s: its user could read the program and so trace it", r.Program)
		}
	}
	if Mode("sendmail") != 0o755 {
		t.Error("sendmail is not for everybody")
	}
}

// Only root's and the rows' own users may change what another uses.
func TestTreeIsClosed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range Tree() {
		if seen[e.Path] {
			t.Errorf("%s is twice in the tree", e.Path)
		}
		seen[e.Path] = true
		if e.Path != "." && path.Dir(e.Path) != "." && !seen[path.Dir(e.Path)] {
			t.Errorf("%s comes before its parent", e.Path)
		}
		if e.Mode&0o022 != 0 && e.Path != "queue/drop" {
			t.Errorf("%s can be written by others: %v", e.Path, e.Mode)
		}
		if e.Group == "nofiles" {
			t.Errorf("group nofiles owns %s", e.Path)
		}
		// Through queue/lock qmail-remote gets to its own file.
		if open := e.Mode & 0o007; strings.HasPrefix(e.Path, "queue/") && e.Path != "queue/drop" && open != 0 && (e.Path != "queue/lock" || open != 0o001) {
			t.Errorf("%s is open to everybody: %v", e.Path, e.Mode)
		}
		if e.File && e.Mode != 0o600 || e.Mode&fs.ModeSetuid != 0 {
			t.Errorf("%s: mode %v", e.Path, e.Mode)
		}
	}
	for _, must := range []string{"queue/new/00", "queue/new/99", "queue/info/42", "queue/lock/sendmutex"} {
		if !seen[must] {
			t.Errorf("%s is missing", must)
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	three := func(id uint32) [3]uint32 { return [3]uint32{id, id, id} }
	for _, c := range []struct {
		name string
		got  credentials
		want bool
	}{
		{"exact", credentials{uid: three(5), gid: three(6), groups: []uint32{7, 6}}, true},
		{"group twice", credentials{uid: three(5), gid: three(6), groups: []uint32{6, 7, 6}}, true},
		{"real uid", credentials{uid: [3]uint32{0, 5, 5}, gid: three(6), groups: []uint32{6, 7}}, false},
		{"saved uid", credentials{uid: [3]uint32{5, 5, 0}, gid: three(6), groups: []uint32{6, 7}}, false},
		{"saved gid", credentials{uid: three(5), gid: [3]uint32{6, 6, 0}, groups: []uint32{6, 7}}, false},
		{"one group more", credentials{uid: three(5), gid: three(6), groups: []uint32{6, 7, 8}}, false},
		{"one group less", credentials{uid: three(5), gid: three(6), groups: []uint32{6}}, false},
	} {
		if got := c.got.is(5, 6, []uint32{6, 7}); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
	lspawn, _ := RoleOf("qmail-lspawn")
	all := uint64(1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL)
	for caps, want := range map[uint64]bool{all: true, all | 1: false, all &^ (1 << unix.CAP_KILL): false, 0: false} {
		if err := (credentials{caps: caps}).checkCaps(lspawn.Caps); (err == nil) != want {
			t.Errorf("capabilities %#x: %v", caps, err)
		}
	}
	for _, c := range []struct {
		name string
		got  credentials
		want bool
	}{
		{"user", credentials{uid: three(5), gid: three(6)}, true},
		{"root", credentials{gid: three(6)}, false},
		{"other's group", credentials{uid: three(5), gid: three(6), groups: []uint32{7}}, false},
		{"capability", credentials{uid: three(5), gid: three(6), caps: 1 << unix.CAP_SETUID}, false},
	} {
		if err := c.got.checkRecipient(); (err == nil) != c.want {
			t.Errorf("recipient, %s: %v", c.name, err)
		}
	}
}

func TestPrivateInstallation(t *testing.T) {
	t.Parallel()
	in, err := Examine(t.TempDir())
	if err != nil || in.Private != (os.Getuid() != 0) || in.UID != uint32(os.Getuid()) {
		t.Errorf("own directory: %+v, %v", in, err)
	}
	private := Installation{Home: "/home/joe/mail", Private: true, UID: 5}
	for _, role := range Roles() {
		if err := private.check(role); err == nil {
			t.Errorf("%s may run as uid %d in the installation of uid 5", role.Program, os.Getuid())
		} else if !strings.Contains(err.Error(), "belongs to uid 5") {
			t.Errorf("the error does not say what is wrong: %v", err)
		}
	}
	own := Installation{Home: "/", Private: true, UID: uint32(os.Getuid())}
	for _, role := range Roles() {
		if err := own.check(role); err != nil {
			t.Errorf("%s in one's own installation: %v", role.Program, err)
		}
	}
	if _, err := Examine("/nowhere"); err == nil || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("the error of a missing home does not say what to do: %v", err)
	}
}

func TestEnterRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	if err := Enter("qmail-unknown"); err == nil {
		t.Error("a program without a row was let in")
	}
}

// A child with the rights of a row must be held to it in every thread.
func TestRestrictHoldsInEveryThread(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give a child another identity")
	}
	if raced.On {
		t.Skip("a program with C in it cannot restrict all of its threads")
	}
	for _, program := range []string{"qmail-send", "qmail-lspawn"} {
		role, _ := RoleOf(program)
		out := play(t, role)
		caps := fmt.Sprintf("%016x", capBits(role.Caps))
		want := map[string]string{
			"CapInh": strings.Repeat("0", 16), "CapPrm": caps, "CapEff": caps,
			"CapAmb": strings.Repeat("0", 16), "NoNewPrivs": "1",
		}
		threads := 0
		for line := range strings.Lines(out) {
			fields := strings.Fields(strings.TrimSpace(line))
			if fields[0] == "Name:" {
				threads++
			}
			if w, listed := want[strings.TrimSuffix(fields[0], ":")]; listed && fields[1] != w {
				t.Errorf("%s: %s, want %s", program, strings.TrimSpace(line), w)
			}
		}
		if threads < 4 {
			t.Errorf("%s: only %d threads were looked at:\n%s", program, threads, out)
		}
		if !strings.Contains(out, "dumpable 0") || !strings.Contains(out, "inherited [0 1 2 3]") {
			t.Errorf("%s: %s", program, out)
		}
	}
}

func capBits(caps []uintptr) (bits uint64) {
	for _, c := range caps {
		bits |= 1 << c
	}
	return bits
}
