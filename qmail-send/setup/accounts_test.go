package setup

import (
	"strconv"
	"strings"
	"testing"

	"postrider/internal/priv"
)

const (
	freshPasswd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n"
	freshGroup  = "root:x:0:\nnogroup:x:65534:\n"
	// As qmail's own installation leaves it.
	classicPasswd = freshPasswd + "alias:x:7790:2108::/var/qmail/alias:/bin/true\nqmaild:x:7791:2108::/var/qmail:/bin/true\n" +
		"qmaill:x:7792:2108::/var/qmail:/bin/true\nqmailp:x:7793:2108::/var/qmail:/bin/true\nqmailq:x:7794:2107::/var/qmail:/bin/true\n" +
		"qmailr:x:7795:2107::/var/qmail:/bin/true\nqmails:x:7796:2107::/var/qmail:/bin/true\n"
	classicGroup = freshGroup + "qmail:x:2107:\nnofiles:x:2108:\n"
)

func TestAccountsAreAdded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, passwd, group, keeps string }{
		{"fresh", freshPasswd, freshGroup, freshPasswd},
		{"classic", classicPasswd, classicGroup, classicPasswd},
		{"no LF at the end", strings.TrimSuffix(freshPasswd, "\n"), strings.TrimSuffix(freshGroup, "\n"), freshPasswd},
		{"empty", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			passwd, group := parseColonFile(c.passwd), parseColonFile(c.group)
			if _, err := addGroups(group, passwd); err != nil {
				t.Fatal(err)
			}
			if _, err := addUsers(passwd, group, "/var/qmail", "/bin/false"); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(passwd.String(), c.keeps) {
				t.Errorf("existing lines changed:\n%s", passwd)
			}
			checkAccounts(t, passwd, group)
			before := passwd.String() + group.String()
			groupsDone, err := addGroups(group, passwd)
			if err != nil {
				t.Fatal(err)
			}
			usersDone, err := addUsers(passwd, group, "/var/qmail", "/bin/false")
			if err != nil || len(groupsDone)+len(usersDone) > 0 || passwd.String()+group.String() != before {
				t.Errorf("the second time it did %q %q, %v", groupsDone, usersDone, err)
			}
		})
	}
}

// checkAccounts looks for every account of the table, with ids of its own.
func checkAccounts(t *testing.T, passwd, group *colonFile) {
	t.Helper()
	found := numbers(passwd, group)
	seen := make(map[int]string)
	for _, u := range priv.Users() {
		id, there := found.users[u.Name]
		if !there || id == 0 || seen[id] != "" {
			t.Errorf("user %s: id %d, there %v, also %q", u.Name, id, there, seen[id])
		}
		seen[id] = u.Name
	}
	for _, g := range priv.Groups() {
		fields, _ := group.find(g.Name)
		if len(fields) != 4 || fields[3] != strings.Join(g.Members, ",") {
			t.Errorf("group %s: %q", g.Name, fields)
		}
	}
}

func TestMembersAreAddedToAnExistingGroup(t *testing.T) {
	t.Parallel()
	group := parseColonFile("qmails:x:500:joe\nqmail:x:501:\n")
	if _, err := addGroups(group, parseColonFile("")); err != nil {
		t.Fatal(err)
	}
	if fields, _ := group.find("qmails"); fields[3] != "joe,qmailq,qmails" {
		t.Errorf("members %q", fields[3])
	}
	if _, err := addGroups(parseColonFile("qmails:x:500\n"), parseColonFile("")); err == nil {
		t.Error("a damaged line was accepted")
	}
}

func TestLinesForNISStayLast(t *testing.T) {
	t.Parallel()
	c := parseColonFile("root:x:0:0::/:/bin/sh\n+::::::\n")
	c.add("x:*:5:5::/:/bin/false")
	if want := "root:x:0:0::/:/bin/sh\nx:*:5:5::/:/bin/false\n+::::::\n"; c.String() != want {
		t.Errorf("got %q", c)
	}
}

func TestNoFreeID(t *testing.T) {
	t.Parallel()
	var full strings.Builder
	for id := firstID; id <= lastID; id++ {
		full.WriteString("u:x:" + strconv.Itoa(id) + ":\n")
	}
	if _, err := addGroups(parseColonFile(full.String()), parseColonFile("")); err == nil {
		t.Error("an id was found where all are taken")
	}
}
