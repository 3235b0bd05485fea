// Package start is qmail-start: the one parent of all daemons. It opens what
// needs root, gives every daemon its identity and its descriptors, starts what
// dies again, and stops all in order.
//
// Only cmd/qmail-start imports it. It reads its arguments, its environment
// (as data), control/smtplisten and control/remoteworkers, all of them the
// administrator's. It opens the files with private keys and does not read them. It reads no byte from the network, from users, from the
// queue or from a daemon; what a daemon can do to it is to exit.
//
// Invariants:
//
//  1. A daemon has exactly the descriptors 0 and 1 (/dev/null), 2 (log) and 3
//     (control channel), an empty environment, a session of its own, and the
//     identity of its row in internal/priv. All else comes on the channel.
//
//  2. Whenever a process starts, each link between it and a running peer is
//     made afresh and both ends are handed out; qmail-start keeps no end, so
//     that end of file means that the peer is gone.
//
//  3. What dies is started again: at once, then after 1, 2, 4 ... 30 seconds,
//     and as after the first death once it has lived for a minute. One line
//     says who died how and what happens.
//
//  4. Nothing a daemon does makes qmail-start wait: frames are sent without
//     waiting, and who does not read them is killed. There is one every 10 s:
//     a daemon that is stopped or hangs is killed after 30 s, and restarted.
//     A start that another process of the same user holds up ends after
//     seconds (priv.WatchStart).
//
//  5. TERM and INT stop in order: no new mail from the network, then the
//     scheduler, the deliveries, the spool, the logger. Each is told by the
//     end of its channel, after 10 s by TERM, 5 s later by KILL.
//
//  6. Root touches nothing inside the queue by name: the public socket is
//     made with the rights of the spool's user.
//
//  7. A successor is executed only after it has said, as a child, that it can
//     go on. From then on an error ends the suite, as the death of qmail-start
//     does: no process is left without a parent.
//
//  8. A member of the program before is replaced in its turn, and its successor
//     serves before it stops serving clients.
//
//  9. Figures are for people: whatever is wrong with them, mail goes on.
//
// A wrong installation or setting ends the program with 111 before any daemon
// runs. A ladder of errors is not needed: no mail passes through here.
//
// Files: main.go (from arguments to running), settings.go (arguments and
// control files), examine.go (these for qmail-showctl), policy.go (whether qmail-policy, qmail-mtasts and qmail-tlsseen are wanted), tlsrpt.go (qmail-tlsrpt in the plan), nss.go (whether qmail-nss is), vlookup.go (whether qmail-vlookup is), plan.go (who is there and linked to whom), process_linux.go
// (one child), supervise.go (the loop), restart.go (deaths and back-off), links.go
// (what a daemon is sent), pulse.go (whether it does anything), stop.go (the
// end), public_linux.go (the public socket and the lock), doors_linux.go
// (listening sockets), inherited.go (those that systemd opened), keys.go
// (private keys), clientkey.go (that of qmail-remote), dkim.go (those that sign
// messages), figures_linux.go (memory in which daemons count), logger.go, rspawn.go (QMAILREMOTE), upgrade.go and
// heir_linux.go (the successor), estate_linux.go (what it is left, and takes over), renew.go
// (replacing members), leaving.go (those who finish).
package start
