package priv

import (
	"os"
	"path/filepath"

	"postrider/internal/accounts"
)

// MinimumUID is the least uid that gets mail unless control/localuidmin says
// otherwise: those below are the oldest system accounts (daemon, bin, mail ...).
const MinimumUID = 11

// Recipients returns who finds the user of a local part, but for aliases, and
// whom no mail is delivered as all the same.
func (in Installation) Recipients() (accounts.Resolver, Nobodies, error) {
	dir := in.control()
	minimum, err := dir.Int("localuidmin", MinimumUID)
	if err != nil {
		return accounts.Resolver{}, Nobodies{}, err
	}
	breaks, err := accounts.Break(dir)
	if err != nil {
		return accounts.Resolver{}, Nobodies{}, err
	}
	r := accounts.Resolver{
		UsersDB:    accounts.NewUsersDB(filepath.Join(in.Home, "users", "cdb")),
		Passwd:     accounts.NewPasswd(accounts.PasswdFile),
		Alias:      accounts.AliasUser,
		Break:      breaks,
		MinimumUID: uint32(minimum),
	}
	if in.Private {
		r.MinimumUID = 0
		r.Private = &accounts.Account{
			Name: accounts.AliasUser, UID: in.UID, GID: uint32(os.Getgid()), Home: filepath.Join(in.Home, "alias"),
		}
		return r, Nobodies{}, nil
	}
	nobodies, err := FindNobodies(uint32(minimum))
	return r, nobodies, err
}
