package start

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"postrider/internal/accounts"
	"postrider/internal/control"
	"postrider/internal/priv"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/rewriting"
)

// readRewriting returns what qmail-send and qmail-lookup are told, or nil where there is no
// control/srssecret. Who can read the secret can have this host send mail to
// anybody: it is root's alone, and reaches qmail-send and qmail-lookup as data.
func readRewriting(dir control.Dir) ([]byte, error) {
	path := string(dir) + "/srssecret"
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others than its owner have access: chmod 600", path)
	}
	text, _, err := dir.Text("srssecret")
	if err != nil {
		return nil, err
	}
	secrets, err := rewriting.Secrets(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	domain, err := dir.LineOrMe("srsdomain", "")
	if err != nil {
		return nil, err
	}
	network, err := networkUsers()
	if err != nil {
		return nil, err
	}
	told, err := rewriting.Settings{Network: network, Domain: domain, Secrets: secrets}.Append(nil)
	if err == nil && len(told) > parent.MaxData {
		err = errors.New("too long")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return told, nil
}

// networkUsers are those as whom mail from the network is handed in. In a
// private installation there are none, and all mail is as good as forwarded.
func networkUsers() (uids []uint32, err error) {
	for _, program := range []string{"qmail-smtpd", "qmail-filter"} {
		role, _ := priv.RoleOf(program)
		account, err := accounts.Lookup(role.User)
		if errors.Is(err, accounts.ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		uids = append(uids, account.UID)
	}
	return uids, nil
}
