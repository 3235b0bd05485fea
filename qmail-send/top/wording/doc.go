// Package wording writes numbers and times for people, in few columns, and makes
// what others have said fit for a terminal.
//
// The parts of qmail-top import it.
package wording
