// Package qmailhome holds the one path that is fixed when the suite is built:
// the qmail home directory, qmail's conf-qmail.
//
// Everybody may import it.
package qmailhome

// Dir is the qmail home directory. The linker sets it
// (-X postrider/internal/qmailhome.Dir=PREFIX); nothing assigns it at run time.
var Dir = "/var/qmail"
