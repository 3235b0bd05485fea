// Package migrate is what a site wants of its mail server, said without the words
// of any: what readers of other systems' configurations (postfix, sendmail,
// qmail below it) hand to the writer of ours (layout), and how the decisions of
// both are compared (ours).
//
// Only its own packages and qmail-migrate import it. The files that are read are
// an administrator's, but of a system that read them in its own way: they may be
// odd, half, or hostile. Each is read with a bound, without waiting, and never
// outside the root that was given.
//
// Invariants:
//
//  1. Nothing is dropped silently: what a reader understands becomes a setting,
//     a table or a file; for everything else there is a Remark that names it.
//
//  2. What cannot be read is a Remark or an error, and never an empty file.
//
//  3. An expansion ends: at most maxSteps addresses are followed from one.
//
//     site.go     Site: settings, domains, files, remarks
//     hosting.go  domains that are local and virtual at once, extensions
//     target.go   what an address leads to
//     tree.go     files below a root
//     accounts.go its accounts
//     outcome.go  what becomes of mail for an address
//     compare.go  two judges, and where they differ
//     known.go    lines of .qmail files that are no mystery
package migrate
