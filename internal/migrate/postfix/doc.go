// Package postfix reads the configuration of Postfix: main.cf, master.cf and the
// sources of the tables that they name, and says what the site wants and what
// Postfix does with mail for an address.
//
// Only qmail-migrate imports it. The files are an administrator's who wrote them
// for another program; nothing in them is run, and each is bounded. Formats and
// decisions are those of postconf(5), master(5), postmap(1), virtual(5),
// transport(5), canonical(5), access(5), regexp_table(5) and
// ADDRESS_REWRITING_README.
//
// A table of a database (mysql, ldap and others) is not read: it is a remark, and
// an address about which it would have the last word is "untold".
//
//	read.go        Read: the files, one after the other
//	lines.go       logical lines, lists
//	maincf.go      main.cf: parameters and what $name means
//	mastercf.go    master.cf: services
//	tables.go      type:name, and the sources of indexed tables
//	patterns.go    regexp and pcre tables
//	lists.go       lists of domains and networks
//	parameters.go  what becomes of each parameter
//	convert.go     the values that need more than a name
//	restrict.go    smtpd_..._restrictions
//	sites.go       who may relay, where mail is taken, which domains are local
//	addresses.go   addresses that lead elsewhere, routes
//	mailboxes.go   virtual mailboxes
//	decide.go      Judge: what Postfix does with an address
//	aliases.go     tables of aliases
//	routes.go      transports and next hops
package postfix
