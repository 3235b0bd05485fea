// Package tlspost is qmail-tlspost: it sends reports about TLS to the web servers
// that want them (RFC 8460), for qmail-tlsrpt, which can send mail and so speaks
// with no web server itself.
//
// Only cmd/qmail-tlspost imports it. URLs, and the reports, are hostile; so is
// what web servers and name servers say. Whoever takes over net/http
// (internal/https) here has nothing but the reports that come by.
//
// Invariants:
//
//  1. A report goes to a server with a certificate that this machine trusts for
//     the name in the URL, at port 443, and nowhere else.
//  2. What a server says beyond its status is not read.
//  3. Each question ends within its time, and few are worked on at a time.
//
// Files: main.go (the control channel, the link), post.go (one report).
package tlspost
