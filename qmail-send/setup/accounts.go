package setup

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"postrider/internal/priv"
)

// Ids for accounts of the system, taken from the top.
const (
	firstID = 100
	lastID  = 999
)

// colonFile is the text of /etc/passwd or /etc/group.
type colonFile struct{ lines []string }

func parseColonFile(text string) *colonFile {
	return &colonFile{strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
}

func (c *colonFile) String() string { return strings.Join(c.lines, "\n") + "\n" }

// find returns the fields of the line called name, and its place.
func (c *colonFile) find(name string) (fields []string, place int) {
	for i, line := range c.lines {
		if fields := strings.Split(line, ":"); fields[0] == name {
			return fields, i
		}
	}
	return nil, -1
}

// add puts a line at the end, but before NIS lines, which take the rest.
func (c *colonFile) add(line string) {
	at := slices.IndexFunc(c.lines, func(s string) bool { return strings.HasPrefix(s, "+") })
	if at < 0 {
		at = len(c.lines)
	}
	if at == 1 && c.lines[0] == "" {
		c.lines[0] = line
		return
	}
	c.lines = slices.Insert(c.lines, at, line)
}

func (c *colonFile) hasID(id int) bool {
	for _, line := range c.lines {
		if fields := strings.Split(line, ":"); len(fields) > 2 && fields[2] == strconv.Itoa(id) {
			return true
		}
	}
	return false
}

// freeID returns the highest id of the system's range that no file has.
func freeID(files ...*colonFile) (int, error) {
	for id := lastID; id >= firstID; id-- {
		if !slices.ContainsFunc(files, func(f *colonFile) bool { return f.hasID(id) }) {
			return id, nil
		}
	}
	return 0, fmt.Errorf("no id from %d to %d is free", firstID, lastID)
}

// addGroups adds the groups of the table and the members that they lack. It
// returns what it did.
func addGroups(group, passwd *colonFile) (done []string, err error) {
	for _, g := range priv.Groups() {
		fields, place := group.find(g.Name)
		if place < 0 {
			id, err := freeID(group, passwd)
			if err != nil {
				return nil, err
			}
			group.add(fmt.Sprintf("%s:x:%d:%s", g.Name, id, strings.Join(g.Members, ",")))
			done = append(done, fmt.Sprintf("group %s added, gid %d", g.Name, id))
			continue
		}
		if len(fields) != 4 {
			return nil, fmt.Errorf("the line of group %s does not have four fields", g.Name)
		}
		members := strings.FieldsFunc(fields[3], func(r rune) bool { return r == ',' })
		for _, m := range g.Members {
			if !slices.Contains(members, m) {
				members = append(members, m)
				done = append(done, fmt.Sprintf("user %s added to group %s", m, g.Name))
			}
		}
		fields[3] = strings.Join(members, ",")
		group.lines[place] = strings.Join(fields, ":")
	}
	return done, nil
}

// addUsers adds the users of the table, with no password and no shell.
func addUsers(passwd, group *colonFile, home, shell string) (done []string, err error) {
	for _, u := range priv.Users() {
		if _, place := passwd.find(u.Name); place >= 0 {
			continue
		}
		fields, place := group.find(u.Group)
		if place < 0 || len(fields) < 3 {
			return nil, fmt.Errorf("group %s is missing", u.Group)
		}
		id, err := freeID(passwd, group)
		if err != nil {
			return nil, err
		}
		passwd.add(fmt.Sprintf("%s:*:%d:%s::%s:%s", u.Name, id, fields[2], filepath.Join(home, u.Home), shell))
		done = append(done, fmt.Sprintf("user %s added, uid %d", u.Name, id))
	}
	return done, nil
}

// ids are the names of passwd and group as numbers.
type ids struct{ users, groups map[string]int }

func numbers(passwd, group *colonFile) ids {
	read := func(c *colonFile) map[string]int {
		m := make(map[string]int)
		for _, line := range c.lines {
			fields := strings.Split(line, ":")
			if len(fields) < 3 {
				continue
			}
			if n, err := strconv.Atoi(fields[2]); err == nil {
				if _, twice := m[fields[0]]; !twice {
					m[fields[0]] = n
				}
			}
		}
		return m
	}
	return ids{read(passwd), read(group)}
}
