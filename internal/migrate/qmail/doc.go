// Package qmail reads an existing qmail: stock, netqmail, notqmail, qmailtoaster,
// with the patches that providers have, and vpopmail's domains, and says what the
// site wants and what that qmail does with mail for an address.
//
// Only qmail-migrate imports it. This suite reads most files of qmail as they are,
// so that reading is mostly copying; what this package has is the table of what is
// not the same. The decision about an address is written here once more, from the
// documents of qmail, and shares nothing with the code of this suite that it is
// compared with.
//
//	read.go     Read: the directories, one after the other
//	settings.go what becomes of each control file
//	convert.go  files whose lines are not all understood
//	rules.go    the rules of tcpserver
//	domains.go  vpopmail's domains
//	decide.go   Judge: from an address to an account
//	local.go    what qmail-local does there
package qmail
