package qmail

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/migrate"
)

// Texts of qmail-local.
const (
	blankFirst = "Uh-oh: first line of .qmail file is blank. (#4.2.1)"
	noPrograms = "Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)"
	noFiles    = "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)"
)

// deliver is qmail-lspawn and qmail-local.
func (j *judge) deliver(local, domain string) (ends, next []string) {
	if local == "" {
		return []string{migrate.Discarded}, nil
	}
	a := j.account(local)
	var st unix.Stat_t
	switch {
	case a.err != nil:
		return []string{migrate.Waits(a.err.Error())}, nil
	case a.uid == 0:
		return []string{migrate.Waits("mail is not delivered as root")}, nil
	}
	if err := j.tree.Stat(a.home, &st); err != nil {
		return []string{migrate.Waits("home directory " + a.home + ": " + err.Error())}, nil
	}
	if st.Mode&(unix.S_ISVTX|0o002) != 0 {
		return []string{migrate.Waits("home directory " + a.home + " is sticky, or everybody can write to it")}, nil
	}
	return j.instructions(a)
}

// names are the .qmail files of an extension, in their order, with how much of it
// each takes; -1 is all of it.
func names(dash, ext string) (files []string, taken []int) {
	safe := strings.ReplaceAll(migrate.Lower(ext), ".", ":")
	files, taken = []string{".qmail" + dash + safe}, []int{-1}
	for i := len(safe); i >= 0; i-- {
		if i == 0 || safe[i-1] == '-' {
			files, taken = append(files, ".qmail"+dash+safe[:i]+"default"), append(taken, i)
		}
	}
	return files, taken
}

// instructions finds the file that counts.
func (j *judge) instructions(a account) (ends, next []string) {
	files, taken := names(a.dash, a.ext)
	for i, name := range files {
		text, mode, err := j.tree.ReadMode(path.Join(a.home, name))
		switch {
		case errors.Is(err, fs.ErrPermission):
			return []string{migrate.Untold(err.Error())}, nil
		case err != nil:
			continue // it is not there, or no plain file
		case mode&0o002 != 0:
			return []string{migrate.Waits(path.Join(a.home, name) + " can be written by everybody")}, nil
		case text == "":
			return []string{migrate.ToUser(a.name, a.home)}, nil
		}
		rest := ""
		if taken[i] >= 0 {
			rest = a.ext[taken[i]:]
		}
		return j.follow(text, mode&0o100 != 0, a, rest)
	}
	if a.dash != "" {
		return []string{migrate.Refused}, nil
	}
	return []string{migrate.ToUser(a.name, a.home)}, nil
}

// follow does what the lines say.
func (j *judge) follow(text string, onlyForward bool, a account, rest string) (ends, next []string) {
	done := 0
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "\x00")
		line = strings.TrimRight(line, " \t")
		if line == "" {
			if i == 0 {
				return []string{migrate.Waits(blankFirst)}, nil
			}
			continue
		}
		var e, n []string
		switch line[0] {
		case '#':
			continue
		case '+':
			onlyForward = onlyForward || line == "+list"
			continue
		case '|':
			if onlyForward {
				return append(ends, migrate.Waits(noPrograms)), next
			}
			e, n = j.program(line[1:], a, rest)
		case '/', '.':
			if onlyForward {
				return append(ends, migrate.Waits(noFiles)), next
			}
			e = []string{migrate.ToBox(below(a.home, line))}
		default:
			n = []string{strings.TrimPrefix(line, "&")}
		}
		done++
		ends, next = append(ends, e...), append(next, n...)
	}
	if done == 0 {
		ends = []string{migrate.Discarded}
	}
	return ends, next
}

// below is a file of a home directory; a Maildir has a slash at its end.
func below(home, name string) string {
	full := path.Join(home, name)
	if strings.HasPrefix(name, "/") {
		full = path.Clean(name)
	}
	if strings.HasSuffix(name, "/") {
		full += "/"
	}
	return full
}

// program is a program line.
func (j *judge) program(line string, a account, rest string) (ends, next []string) {
	for _, home := range []string{j.home, j.newHome} {
		if t, known := migrate.KnownProgram(home, line); known {
			if t.Kind == migrate.Refuse {
				return []string{migrate.Refused}, nil
			}
			return nil, []string{migrate.RestOf(t, rest)}
		}
	}
	v, understood := cutVdelivermail(line)
	if !understood {
		return []string{migrate.ToProgram(line)}, nil
	}
	return j.vdelivermail(v, line, a)
}

// vdelivermail is what that program does, by vpasswd.
func (j *judge) vdelivermail(v vdelivermail, line string, a account) (ends, next []string) {
	users := j.vpopmailUsers(a.home)
	if users == nil {
		return []string{migrate.ToProgram(line)}, nil
	}
	if u, found := users[migrate.Lower(a.ext)]; found {
		if u.closed {
			return []string{migrate.Refused}, nil
		}
		text, mode, err := j.tree.ReadMode(path.Join(u.dir, ".qmail"))
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && text == "":
			return []string{migrate.ToBox(u.dir + "/Maildir/")}, nil
		case err != nil:
			return []string{migrate.Untold(err.Error())}, nil
		}
		a.home = u.dir
		return j.follow(text, mode&0o100 != 0, a, "")
	}
	switch {
	case v.word == "bounce-no-mailbox":
		return []string{migrate.Refused}, nil
	case v.word == "delete":
		return []string{migrate.Discarded}, nil
	case strings.HasPrefix(v.word, "/"):
		return []string{migrate.ToBox(strings.TrimRight(v.word, "/") + "/Maildir/")}, nil
	}
	return nil, []string{v.word}
}
