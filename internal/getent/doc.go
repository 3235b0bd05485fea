// Package getent asks the name services of the machine (NSS: LDAP, sssd,
// systemd-homed, NIS) for an account, by running getent: a static program
// cannot load the modules of the C library, and should not want to have them in
// its own process.
//
// Who may import it: qmail-nss, the daemon that runs getent for others, and
// qmail-getpw, which runs as its caller. The name is hostile; getent is the
// system's, its modules and their servers may hang or say anything.
//
// Invariants:
//
//  1. A name is asked for only if getent takes it as a name: nothing that is a
//     number to it, or an option.
//
//  2. Each run has a time limit, after which its process group is killed, and
//     output over maxOutput bytes is trouble.
//
//  3. "No such name" (accounts.ErrUnknown) is said only if getent said so, and
//     if it found the probe's name in the same run where one is needed: for
//     getent, a server that does not answer is the same as one that has nobody.
//     Everything else is temporary.
//
//     getent.go  Program: one run
//     answer.go  what getent wrote
package getent
