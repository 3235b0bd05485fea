package qmailremote

import (
	"strings"

	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/resolver"
)

// Examine reads all settings as the program does before a delivery. With an
// error mail to other hosts waits.
func Examine(home string) (warnings []string, err error) {
	files := settingsFiles{home: home, resolvConf: resolver.SystemConfig, clock: clock.Real()}
	_, err = files.current()
	return nil, err
}

// Readers are those of control files whose lines have a form, by file.
func Readers() map[string]func(control.Dir) error {
	return map[string]func(control.Dir) error{
		"authsenders":    checkRoutes("authsenders", smtp),
		"lmtproutes":     checkRoutes("lmtproutes", lmtp),
		"moreipme":       func(dir control.Dir) error { _, err := readOwn(dir); return err },
		"outgoingip":     func(dir control.Dir) error { _, err := readSources(dir); return err },
		"outgoingsocks":  func(dir control.Dir) error { _, err := proxyLogins(dir); return err },
		"qmtproutes":     checkRoutes("qmtproutes", qmtp),
		"remoteauth":     func(dir control.Dir) error { _, err := logins(dir); return err },
		"remotetimeouts": func(dir control.Dir) error { _, err := readWaits(dir); return err },
		"smtproutes":     checkRoutes("smtproutes", smtp),
	}
}

// checkRoutes reads each route as a delivery by it does; a wrong one stops the
// mail that it is for, and no other. Logins are secret and not told.
func checkRoutes(name string, p protocol) func(control.Dir) error {
	return func(dir control.Dir) error {
		_, err := dir.Each(name, func(line string) error {
			_, value, isRoute := strings.Cut(line, ":")
			if !isRoute || value == "" {
				return nil // counts for nothing; or sends back to the mail exchangers
			}
			_, err := parseRelay(value, p.port())
			return err
		})
		return err
	}
}

// RelayHost returns the name of the host that a route leads to, if it has one
// and needs to be looked up.
func RelayHost(value string) (name string) {
	r, err := parseRelay(value, smtpPort)
	if err != nil || r.addr.IsValid() {
		return ""
	}
	return r.name
}
