// Package lspawn is qmail-lspawn: it finds out itself who the user behind a
// recipient is, and hands the delivery to a qmail-local worker that runs as
// that user.
//
// Only cmd/qmail-lspawn imports it. Trust: the parent's frames are ours; jobs
// of qmail-send are well formed but say nothing about users or rights; users/cdb
// and passwd are the administrator's; every byte of a worker is hostile, since
// its user may have taken it over.
//
// Invariants:
//
//  1. Nothing is ever started as uid 0, below the minimum uid, as a user of
//     the suite itself, or, in a private installation, as anybody but its owner.
//  2. A worker is started with the uid and gid of its user, that one group, no
//     capability, an environment without a single variable, and descriptors 0
//     and 1 (/dev/null), 2 (a pipe that is read within bounds), 3 (its link).
//     It never serves a second user.
//  3. A result is believed only for a delivery that was given to that worker
//     and is not answered yet; a worker that says anything else is killed, and
//     its deliveries are temporary failures. Nobody else's are touched.
//  4. Every delivery is answered exactly once on the link it came from, unless
//     that link has ended.
//  5. One user can hold neither all workers, nor all deliveries, nor all slots:
//     a quarter of each stays for others.
//  6. A worker that answers nothing for jobLimit is killed, one that somebody
//     stopped after stopLimit.
//  7. Nothing that a user does to a process of his holds up a start for ever.
//  8. Message descriptors are passed on and never read.
//
// One goroutine owns all state (server.go); the others read links, look up
// accounts, start processes, and post what they found.
//
//	main.go      Main: settings, control channel
//	server.go    the state, and the event loop
//	jobs.go      the way of a job: account, worker, result
//	link.go      the link to qmail-send
//	pool.go      which worker gets a job
//	slots.go     who may run programs, forwards and mbox deliveries
//	deadlines.go what ends because of time
//	worker.go    a worker as the state sees it, and its packets
//	process.go   a worker as a process
//	session.go   the end of all that a worker has started
//	account.go   from a recipient to a user
//	nss.go       accounts that /etc/passwd does not have
//	replies.go   texts
package lspawn
