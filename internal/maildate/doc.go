// Package maildate writes the two forms of date that a mail server needs, both
// in UTC (spec section 0.3): the one of header fields and the one of the line
// that begins a message in an mbox.
//
// Who may import it: everybody. Its input is a time, so there is nothing to
// distrust and nothing that can fail.
//
// Files:
//
//	maildate.go  both forms
package maildate
