package start

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"postrider/internal/accounts"
	"postrider/internal/checkpassword"
	"postrider/internal/control"
	"postrider/internal/priv"
)

// passwordFile is what qmail-auth reads, and its group is who else may.
const (
	passwordFile  = "users/smtppasswd"
	passwordGroup = "qmaila"
)

// readPasswords finds out who checks the passwords of SMTP clients, if anybody.
func (set *settings) readPasswords(in priv.Installation) error {
	if !set.serves("qmail-smtpd") {
		return nil
	}
	line, err := control.Dir(filepath.Join(in.Home, "control")).Line("checkpassword", "")
	if err != nil {
		return err
	}
	if line != "" {
		if _, err := checkpassword.Parse(line); err != nil {
			return fmt.Errorf("%s/control/checkpassword %w", in.Home, err)
		}
		return set.checkBy("qmail-checkpass", in)
	}
	path := filepath.Join(in.Home, passwordFile)
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := checkPasswordFile(path, st, in); err != nil {
		return err
	}
	return set.checkBy("qmail-auth", in)
}

func (set *settings) checkBy(program string, in priv.Installation) error {
	role, _ := priv.RoleOf(program)
	role, err := in.Chosen(role)
	set.checksPasswords = &role
	return err
}

// checkPasswordFile refuses a file that anybody but its owner and qmail-auth
// may read: then its hashes are no secret.
func checkPasswordFile(path string, st fs.FileInfo, in priv.Installation) error {
	owner := st.Sys().(*syscall.Stat_t)
	mode := st.Mode().Perm()
	if !st.Mode().IsRegular() || owner.Uid != in.UID || mode&0o027 != 0 {
		return fmt.Errorf("%s belongs to uid %d and has the mode %04o: it must belong to uid %d and have the mode 0640",
			path, owner.Uid, mode, in.UID)
	}
	if in.Private {
		return nil
	}
	gid, err := accounts.LookupGroup(passwordGroup)
	if err != nil {
		return fmt.Errorf("unable to find group %s: %w: run make setup", passwordGroup, err)
	}
	if owner.Gid != gid || mode&0o040 == 0 {
		return fmt.Errorf("%s must be readable for group %s and no other: chgrp %s and chmod 0640", path, passwordGroup, passwordGroup)
	}
	return nil
}
