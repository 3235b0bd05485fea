// Package sendmail reads the configuration of Sendmail: sendmail.mc, or what can be
// told from sendmail.cf, and the sources of the tables beside it, and says what the
// site wants and what Sendmail does with mail for an address.
//
// Only qmail-migrate imports it. The files are an administrator's who wrote them
// for another program; no rule of a cf file is run, and no m4. Formats and
// decisions are those of cf/README of Sendmail 8 and of its Installation and
// Operation Guide.
//
//	read.go      Read: the files, one after the other
//	macros.go    sendmail.mc: calls of macros
//	cf.go        sendmail.cf: options, classes, macros
//	settings.go  what becomes of each option and feature
//	tables.go    the sources of makemap's tables, and lists
//	access.go    the table access
//	virtual.go   virtusertable and mailertable
//	decide.go    Judge: what Sendmail does with an address
package sendmail
