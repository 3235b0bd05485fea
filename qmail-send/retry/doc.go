// Package retry says when a message is tried again: at which ages, by where it
// goes and what went wrong (R65, spec 2.5).
//
// Only qmail-send imports it.
//
// Input: control/retryrules (the administrator's; a line that is wrong is an
// error that names it), and what delivery agents report, which can choose among
// the rules and nothing else.
//
// Files: curve.go (ages, and how they are written down), rules.go (which curve).
package retry
