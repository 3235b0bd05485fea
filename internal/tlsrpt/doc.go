// Package tlsrpt is what SMTP TLS reporting (RFC 8460) is made of: what a
// domain asks for in the DNS, what was found of its mail servers, the report of
// that, and what control/tlsrpt says.
//
// qmail-tlsrpt, the protocol by which it is told, and qmail-start import it.
// Records of the DNS are hostile; so is what was found, which holds names of
// theirs; control files are believed.
//
// Files:
//
//	settings.go  control/tlsrpt
//	record.go    the record of a domain: where its reports go
//	finding.go   what a session found
//	report.go    the report of a day
package tlsrpt
