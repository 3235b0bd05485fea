package lookup

import (
	"path/filepath"
	"time"

	"postrider/internal/accounts"
	"postrider/internal/control"
	"postrider/internal/priv"
	"postrider/internal/wire/account"
	"postrider/internal/wire/call"
)

// askTime is how long qmail-nss has for an answer: qmail-smtpd waits for 5 seconds.
const askTime = 4500 * time.Millisecond

// askBeyondFiles has whom /etc/passwd does not have asked of qmail-nss, if the
// machine has such accounts. Without a link, nothing is known of them.
func (f *finder) askBeyondFiles(in priv.Installation) (*call.Client, error) {
	found, err := accounts.ReadNSS(control.Dir(filepath.Join(in.Home, "control")))
	if err != nil || in.Private || !found.Asked {
		return nil, err
	}
	nss := call.NewClient("qmail-nss")
	f.resolver.Passwd.Ask = func(name string) (accounts.Account, error) { return account.Ask(nss, name, askTime) }
	return nss, nil
}
