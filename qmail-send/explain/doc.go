// Package explain is qmail-explain: it tells what this host would do with a
// message, which file and line decided each step, and what a change of the control
// files would make of yesterday's mail.
//
// Only cmd/qmail-explain imports it. It decides nothing itself. What it links is
// what several programs share: internal/route, internal/accounts and
// internal/aliases; for the rest it asks the programs that do the work, each as the
// user that it runs as (internal/wire/steps).
//
// Trust: the administrator's files and the programs of the suite. Addresses may be
// hostile, and so is what the programs say: it was read in files of users and in
// the DNS. It is shown without control characters, and followed in forwards alone,
// which have the form of addresses.
//
// Invariants:
//
//  1. No mail is sent, nothing is changed, and nobody but name servers is connected
//     to.
//
//  2. As root it opens no file of a user and reads no byte of the network: it starts
//     programs as others, with an empty environment and three descriptors.
//
//  3. What could not be seen is said, and never taken for something.
//
//  4. No password is ever shown.
//
//     main.go      Main: the command line, what is printed, the exit code
//     options.go   the command line
//     explainer.go what is known for all questions
//     message.go   the way of one message
//     account.go   whose mail it is
//     mailbox.go   the user's file, and forwards
//     remote.go    the way to another host
//     sibling.go   programs that are asked
//     started.go   the default delivery, as qmail-start was told
//     corpus.go    many addresses, and what differs between two configurations
//     maillog.go   addresses of a log
//     section.go   what is found, and its outcome
//     text.go      it in words, and as JSON
package explain
