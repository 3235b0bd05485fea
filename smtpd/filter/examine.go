package filter

import "postrider/internal/control"

// Examine reads all settings as the daemon does.
func Examine(home string) (warnings []string, err error) {
	if _, err = loadSettings(home); err == nil {
		_, err = loadMilters(control.Dir(home + "/control"))
	}
	return nil, err
}

// Readers are those of control files that have a form, by file.
func Readers() map[string]func(control.Dir) error {
	return map[string]func(control.Dir) error{
		"milters":    func(dir control.Dir) error { _, err := loadMilters(dir); return err },
		"quarantine": func(dir control.Dir) error { _, err := loadQuarantine(dir); return err },
	}
}
