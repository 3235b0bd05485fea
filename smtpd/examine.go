package smtpd

import "postrider/internal/control"

// Examine reads all settings as the daemon does, and returns what it would say
// of them. With an error no mail is taken.
func Examine(home string) (warnings []string, err error) {
	s, err := loadSettings(home, true)
	if err != nil {
		return nil, err
	}
	return s.warnings, nil
}

// Readers are those of control files whose lines have a form, by file.
func Readers() map[string]func(control.Dir) error {
	listOf := func(name string) func(control.Dir) error {
		return func(dir control.Dir) error {
			r := settingsReader{dir: dir}
			r.networks(name)
			return r.err
		}
	}
	return map[string]func(control.Dir) error{
		"clientca.pem": func(dir control.Dir) error { _, err := readClientCAs(dir); return err },
		"dnsbllist":    func(dir control.Dir) error { _, err := readLists(dir); return err },
		"proxyhosts":   listOf("proxyhosts"),
		"tlsclients":   func(dir control.Dir) error { _, err := readTLSClients(dir); return err },
		"xclienthosts": listOf("xclienthosts"),
	}
}
