package spool

import (
	"postrider/internal/control"
	"postrider/internal/queuedir"
)

// Examine reads all settings as the daemon does. With an error it does not start.
func Examine(home string) (warnings []string, err error) {
	_, err = readLimits(control.Dir(home + "/control"))
	return nil, err
}

// Room says what of the queue's disk is short, so that no mail is taken, as the
// daemon sees it; "" is nothing. What else there is it says in words.
func Room(home string) (short, has string, err error) {
	l, err := readLimits(control.Dir(home + "/control"))
	if err != nil {
		return "", "", err
	}
	look := leftOf(queuedir.At(home).Root)
	have, err := look()
	if err != nil {
		return "", "", err
	}
	p := pressure{limits: l, look: look, messages: func() int64 { return 0 }}
	return p.short(false), have.String(), nil
}
