package start

import (
	"postrider/internal/accounts"
	"postrider/internal/control"
)

// asksNSS reports whether the machine has accounts that /etc/passwd does not
// have.
func asksNSS(dir control.Dir) (bool, error) {
	nss, err := accounts.ReadNSS(dir)
	return nss.Asked, err
}
