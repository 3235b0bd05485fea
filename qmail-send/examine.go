package qmailsend

import (
	"postrider/internal/control"
	"postrider/internal/destinations"
	"postrider/qmail-send/fair"
	"postrider/qmail-send/retry"
)

// Examine reads all settings as the daemon does. With an error it does not start.
func Examine(home string) (warnings []string, err error) {
	_, err = readSettings(control.Dir(home + "/control"))
	return nil, err
}

// Readers are those of control files whose lines have a form, by file.
func Readers() map[string]func(control.Dir) error {
	return map[string]func(control.Dir) error{
		"delaywarn": func(dir control.Dir) error {
			r := settingsReader{dir: dir}
			r.ages("delaywarn", 0)
			return r.err
		},
		destinations.File: func(dir control.Dir) error { _, err := destinations.Read(dir); return err },
		"retryrules":      func(dir control.Dir) error { _, err := retry.ReadRules(dir); return err },
		"senderweights":   func(dir control.Dir) error { _, err := fair.ReadSenders(dir); return err },
	}
}
