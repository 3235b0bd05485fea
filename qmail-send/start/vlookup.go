package start

import "postrider/internal/priv"

// readDomainsUser finds out whether qmail-vlookup is wanted, and as whom it runs.
// In a private installation qmail-lookup may read what that could.
func (set *settings) readDomainsUser(in priv.Installation) error {
	if !set.serves("qmail-smtpd") && !set.serves("qmail-qmtpd") || in.Private {
		return nil
	}
	role, _ := priv.RoleOf("qmail-vlookup")
	name, err := in.ChosenUser(role)
	if err != nil || name == "" {
		return err
	}
	role, err = in.Chosen(role)
	set.looksIntoDomains = &role
	return err
}
