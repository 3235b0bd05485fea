package accounts

import "strings"

// LookupGroup returns the id of the group called name in /etc/group.
func LookupGroup(name string) (gid uint32, err error) { return lookupGroup(GroupFile, name) }

func lookupGroup(path, name string) (uint32, error) {
	if name == "" || strings.ContainsAny(name, ":\n\x00") {
		return 0, ErrUnknown
	}
	groups := table{path: path}
	line, _, err := groups.line(name)
	if err != nil {
		return 0, err
	}
	fields := strings.Split(line, ":")
	if len(fields) < 3 {
		return 0, ErrUnknown
	}
	gid, ok := parseID(fields[2])
	if !ok {
		return 0, ErrUnknown
	}
	return gid, nil
}
