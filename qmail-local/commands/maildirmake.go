package commands

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/getopt"
	"postrider/internal/world"
)

// MaildirMake is maildirmake: it makes a Maildir, or with -f a folder in one,
// or with -q gives one a quota (Maildir++).
func MaildirMake(w world.World) int {
	const how = "maildirmake [-f folder] [-q quota] maildir"
	opts, args, err := getopt.Parse(w.Args[1:], "f:q:")
	if err != nil || len(args) != 1 {
		return usage(w, how)
	}
	dir, folder, quota := args[0], "", ""
	for _, o := range opts {
		switch o.Letter {
		case 'f':
			folder = o.Value
		case 'q':
			quota = o.Value
		}
	}
	if folder != "" && (strings.ContainsAny(folder, "/") || strings.HasPrefix(folder, ".") || strings.HasSuffix(folder, ".") || strings.Contains(folder, "..")) {
		return fail(w, "maildirmake", exitNever, "a folder is named by words with a dot between them: Lists.Work")
	}
	if quota != "" && !isQuota(quota) {
		return fail(w, "maildirmake", exitNever, "a quota is bytes and messages: 10000000S,1000C")
	}
	unix.Umask(0o077)
	if err := makeMaildir(dir, folder, quota); err != nil {
		return fail(w, "maildirmake", exitLater, err.Error())
	}
	return exitDone
}

// isQuota reports whether s is a Maildir++ quota: most bytes (S), most messages
// (C), or both.
func isQuota(s string) bool {
	seen := ""
	for part := range strings.SplitSeq(s, ",") {
		digits := strings.TrimRight(part, "SC")
		letter := part[len(digits):]
		if len(letter) != 1 || strings.Contains(seen, letter) || digits == "" || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
			return false
		}
		seen += letter
	}
	return true
}

func makeMaildir(dir, folder, quota string) error {
	if folder != "" {
		// The Maildir of a folder exists.
		if _, err := os.Stat(filepath.Join(dir, "new")); err != nil {
			return err
		}
		made := filepath.Join(dir, "."+folder)
		return errors.Join(makeDirs(made, false), writeNew(filepath.Join(made, "maildirfolder"), ""))
	}
	if err := makeDirs(dir, quota != ""); err != nil {
		return err
	}
	if quota == "" {
		return nil
	}
	// Whoever delivers adds up what there is when the file has no sums.
	return replace(filepath.Join(dir, "maildirsize"), quota+"\n")
}

// makeDirs makes the directories of a Maildir; those of one that is there may
// stay.
func makeDirs(dir string, mayExist bool) error {
	for _, name := range []string{"", "tmp", "new", "cur"} {
		err := os.Mkdir(filepath.Join(dir, name), 0o700)
		if err != nil && !(mayExist && errors.Is(err, fs.ErrExist)) {
			return err
		}
	}
	return nil
}

func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// replace puts a whole file in the place of another.
func replace(path, text string) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(fresh, text); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}
