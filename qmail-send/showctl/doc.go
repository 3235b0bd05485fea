// Package showctl is qmail-showctl: what every setting is, where that comes from,
// and what is wrong with the installation, by file and line, and how to mend it.
//
// Only cmd/qmail-showctl imports it, which gives it the readers of the programs
// themselves (Parts): what is checked here is what they say, and no second opinion
// on the form of a file. Where a program takes anything and what is written just
// never fits, the checks are here (syntax.go).
//
// Control files, tables and keys are the administrator's and may be damaged. What
// name servers say is hostile: a process of its own, without rights, hears it
// (ask.go).
//
// Invariants:
//
//  1. It changes nothing: it opens files for reading alone, takes no lock and
//     sends no signal.
//  2. It prints no secret: no password, token, key, nor a line of a file that has
//     them. What it prints of files and names holds no control characters.
//  3. It ends: no file, list or answer can make it wait or print for ever.
//  4. What it may not read it says so about (Unread); that is no error.
//  5. An error is what a program refuses, or what makes mail go wrong; all else
//     is a warning, and does not count for the exit code.
//
// Files: main.go (options, exit code), report.go (findings), inspect.go (the
// checks in their order), syntax.go (control files by their kind), names.go (files
// that are no setting), routing.go (domains that contradict each other), rules.go
// (who may connect and relay), tables.go (users/cdb, aliases), programs.go (what
// the programs say of their settings), access.go (users, owners, modes), keys.go
// (certificates), ports_linux.go (who listens), queue.go (the queue), dns.go (names
// of hosts), ask.go (the process that asks name servers), value.go (what a setting
// is), print.go and json.go (the two forms of the report).
package showctl
