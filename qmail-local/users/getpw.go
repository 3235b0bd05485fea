package users

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"postrider/internal/accounts"
	"postrider/internal/control"
	"postrider/internal/getent"
	"postrider/internal/world"
)

// Exit codes of qmail-getpw, as qmail-lspawn of qmail knows them (spec section
// 3.2).
const (
	exitUsage    = 100
	exitHomeAway = 115
	exitNoAlias  = 116
	exitNoTables = 118 // the tables could not be read
)

// GetPW is qmail-getpw: it says who mail for a local part belongs to, by
// passwd and the name services of the machine.
func GetPW(w world.World) int {
	if len(w.Args) != 2 {
		fmt.Fprint(w.Stderr, "qmail-getpw: usage: qmail-getpw local\n")
		return exitUsage
	}
	r, err := resolver(control.Dir(filepath.Join(w.Home, "control")))
	if err != nil {
		fmt.Fprintf(w.Stderr, "qmail-getpw: fatal: %v\n", err)
		return exitNoTables
	}
	return getPW(w, r, w.Args[1])
}

// resolver asks passwd and, where the machine has accounts beyond it, getent.
func resolver(dir control.Dir) (*accounts.Resolver, error) {
	breaks, err := accounts.Break(dir)
	if err != nil {
		return nil, err
	}
	r := &accounts.Resolver{Passwd: accounts.NewPasswd(accounts.PasswdFile), Alias: accounts.AliasUser, Break: breaks}
	nss, err := accounts.ReadNSS(dir)
	if err == nil && nss.Asked {
		r.Passwd.Ask = getent.Program{Path: getent.Path, Limit: getent.Limit, Probe: nss.Probe, NeedsProbe: nss.MayBeAway}.Lookup
	}
	return r, err
}

func getPW(w world.World, r *accounts.Resolver, local string) int {
	u, err := r.ByPasswd(local)
	switch {
	case errors.Is(err, accounts.ErrHome):
		return exitHomeAway
	case errors.Is(err, accounts.ErrNoAlias):
		return exitNoAlias
	case err != nil:
		fmt.Fprintf(w.Stderr, "qmail-getpw: fatal: %v\n", err)
		return exitNoTables
	}
	fields := []string{u.User, fmt.Sprint(u.UID), fmt.Sprint(u.GID), u.Home, u.Dash, u.Ext, ""}
	if _, err := w.Stdout.WriteString(strings.Join(fields, "\x00")); err != nil {
		return exitNoTables
	}
	return exitDone
}
