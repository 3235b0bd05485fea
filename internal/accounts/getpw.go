package accounts

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/fate"
)

// maxName is the length from which a prefix cannot be an account's name.
const maxName = 32

var (
	// ErrHome says that a home directory could not be looked at for now.
	ErrHome = errors.New("home directory is out of reach")
	// ErrNoAlias says that there is no account for what no user owns.
	ErrNoAlias = errors.New("unable to find alias user")
)

// ByPasswd finds local by qmail-getpw's rules (spec section 3.4): the longest
// prefix that ends at a break character and names an account whose home it
// owns; else the account alias.
func (r *Resolver) ByPasswd(local string) (Recipient, error) {
	for end := len(local); end >= 0; end-- {
		if end < len(local) && strings.IndexByte(r.Break, local[end]) < 0 || end >= maxName {
			continue
		}
		account, err := r.owner(lower(local[:end]))
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return Recipient{}, err
		}
		found := Recipient{User: account.Name, UID: account.UID, GID: account.GID, Home: account.Home}
		if end < len(local) {
			found.Dash, found.Ext = "-", local[end+1:]
		}
		return found, nil
	}
	return r.alias(local)
}

// owner returns the account called name if mail for it may go to its home.
func (r *Resolver) owner(name string) (Account, error) {
	account, err := r.Passwd.Lookup(name)
	if err != nil {
		return Account{}, err
	}
	if account.UID == 0 || account.UID < r.MinimumUID || !strings.HasPrefix(account.Home, "/") {
		return Account{}, ErrUnknown
	}
	if r.Private != nil && account.UID != r.Private.UID {
		return Account{}, ErrUnknown
	}
	stat := r.Stat
	if stat == nil {
		stat = unix.Stat
	}
	var st unix.Stat_t
	err = stat(account.Home, &st)
	var errno unix.Errno
	switch {
	case errors.Is(err, unix.EACCES):
		// Below a directory that we may not enter, and the account may: neither
		// qmail-lspawn nor qmail-lookup is root. The worker looks as the account.
		return account, nil
	case err != nil && !errors.As(err, &errno), fate.IsTemporaryErrno(err):
		return Account{}, fmt.Errorf("%w: %w", ErrHome, &os.PathError{Op: "stat", Path: account.Home, Err: err})
	case err != nil || st.Uid != account.UID:
		return Account{}, ErrUnknown
	}
	return account, nil
}

func (r *Resolver) alias(local string) (Recipient, error) {
	if p := r.Private; p != nil {
		return Recipient{p.Name, p.UID, p.GID, p.Home, "-", local}, nil
	}
	account, err := r.Passwd.Lookup(r.Alias)
	if errors.Is(err, ErrUnknown) {
		return Recipient{}, ErrNoAlias
	}
	if err != nil {
		return Recipient{}, err
	}
	return Recipient{account.Name, account.UID, account.GID, account.Home, "-", local}, nil
}
