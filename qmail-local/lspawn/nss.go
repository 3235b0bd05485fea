package lspawn

import (
	"path/filepath"
	"time"

	"postrider/internal/accounts"
	"postrider/internal/control"
	"postrider/internal/priv"
	"postrider/internal/wire/account"
	"postrider/internal/wire/call"
)

const (
	// askTime is how long qmail-nss has for an answer, and for those before it.
	askTime = 20 * time.Second
	// maxAsked is how many questions are asked at a time: a burst of mail waits
	// here, and is not put off.
	maxAsked = 32
)

// askBeyondFiles has whom /etc/passwd does not have asked of qmail-nss, if the
// machine has such accounts. Without a link, nothing is known of them.
func (d *directory) askBeyondFiles(in priv.Installation) (*call.Client, error) {
	found, err := accounts.ReadNSS(control.Dir(filepath.Join(in.Home, "control")))
	if err != nil || in.Private || !found.Asked {
		return nil, err
	}
	nss := call.NewClient("qmail-nss")
	slots := make(chan struct{}, maxAsked)
	d.resolver.Passwd.Ask = func(name string) (accounts.Account, error) {
		slots <- struct{}{}
		defer func() { <-slots }()
		return account.Ask(nss, name, askTime)
	}
	return nss, nil
}
