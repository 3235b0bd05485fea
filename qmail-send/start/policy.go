package start

import "postrider/internal/control"

// asksPolicy reports whether the administrator wants anything of what
// qmail-policy finds out. What the files say is qmail-smtpd's to judge.
func asksPolicy(dir control.Dir) (bool, error) {
	lists, _, err := dir.List("dnsbllist")
	if err != nil || len(lists) > 0 {
		return true, err
	}
	if on, err := isOn(dir, "spfbehavior"); on || err != nil {
		return on, err
	}
	if on, err := isOn(dir, "checkrdns"); on || err != nil {
		return on, err
	}
	return isOn(dir, "greylist")
}

// asksMTASTS reports whether he wants policies of MTA-STS to count.
func asksMTASTS(dir control.Dir) (bool, error) { return isOn(dir, "mtasts") }

// remembersTLS reports whether he wants hosts to be remembered that have TLS.
func remembersTLS(dir control.Dir) (bool, error) { return isOn(dir, "tlsremember") }

func isOn(dir control.Dir, name string) (bool, error) {
	n, err := dir.Int(name, 0)
	return n > 0, err
}
