package smtpd

import "postrider/internal/control"

// controls keeps the settings as the control files are now.
type controls = control.Cached[*settings]

func newControls(home string) *controls {
	return control.NewCached(control.Dir(home+"/control"), controlFiles[:], func() (*settings, error) {
		return loadSettings(home, true)
	})
}
