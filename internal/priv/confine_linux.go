package priv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"postrider/internal/sandbox"
)

// The ports of name servers, and of web servers that speak TLS.
const (
	namePort = 53
	webPort  = 443
)

// resolvConf is often a link to a file that is replaced at any time.
const resolvConf = "/etc/resolv.conf"

// confine holds a program of the table to its files, ports and calls.
func (in Installation) confine(role Role, policy Policy) error {
	if !role.Confined || policy.Off {
		return nil
	}
	realm := sandbox.Realm{Connect: role.Connects, AnyPort: role.Connects}
	if role.AsksNames {
		realm.Ports = append(realm.Ports, namePort)
	}
	if role.AsksWeb {
		realm.Ports = append(realm.Ports, webPort)
	}
	for _, f := range role.Files {
		files, err := in.expand(f)
		if err != nil {
			return err
		}
		realm.Files = append(realm.Files, files...)
	}
	if err := realm.Apply(); err != nil {
		return err
	}
	return role.Calls.filter(unix.Getpid()).Apply()
}

// expand returns what a file of the table stands for on this machine. What is
// replaced by rename is reached through its directory. Links of the
// administrator's, in control and at resolv.conf, lead to the directories
// where they end now.
func (in Installation) expand(f sandbox.File) ([]sandbox.File, error) {
	path := f.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(in.Home, path)
	}
	if path == resolvConf {
		return existing(sandbox.File{Path: filepath.Dir(path), Access: f.Access}, behind(path, f.Access)), nil
	}
	files := existing(sandbox.File{Path: path, Access: f.Access})
	if f.Path != "control" {
		return files, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			files = append(files, existing(behind(filepath.Join(path, e.Name()), f.Access))...)
		}
	}
	return files, nil
}

// behind returns the directory in which a link ends.
func behind(link string, access sandbox.Access) sandbox.File {
	target, err := filepath.EvalSymlinks(link)
	if err != nil {
		return sandbox.File{} // it leads nowhere
	}
	if dir := filepath.Dir(target); dir != "/" {
		return sandbox.File{Path: dir, Access: access}
	}
	return sandbox.File{Path: target, Access: access &^ sandbox.List}
}

// existing leaves out what is not there.
func existing(files ...sandbox.File) (list []sandbox.File) {
	for _, f := range files {
		if _, err := os.Stat(f.Path); err == nil {
			list = append(list, f)
		}
	}
	return list
}
