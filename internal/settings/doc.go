// Package settings is the one table of all control files: what kind of file each
// is, its default and limits, who reads it and when, what it is for.
//
// The readers do not ask it: each names its file and its default where it uses
// them. Tests hold the two together (internal/imports): a setting that a program
// reads is here, of the same kind and with the same default, and one that is
// here is read. docs/control.md and qmail-control(5) are held to this table in
// the same way. qmail-showctl prints it.
//
// It imports nothing of ours, and anybody may import it; but its texts are long,
// and small programs have no use for them.
//
// Files: settings.go (what is known of a setting), table.go (the settings),
// changes.go (when a change counts).
package settings
