// Package spool is qmail-spool: it takes messages in, makes them durable, and
// is the only program that writes and removes the entries of the queue.
//
// Only cmd/qmail-spool imports it. Submitters and everything in drop/ are
// hostile; so is what qmail-send says, as far as it is about other files than
// entries. What qmail-start sends is believed.
//
// Invariants:
//
//  1. "Accepted" is said only after entry, body and their directory entries
//     are durable (P1, R1, R2), and announced only after that.
//  2. An entry that was not accepted is gone, or is held back from the
//     scheduler as long as it resists (Store.inflight, Store.doom).
//  3. A sync that failed is final: what it should have saved is withdrawn.
//  4. Nobody waits for the scheduler: announcements that do not fit are
//     dropped and it is told to scan.
//  5. Memory does not grow with a message, an envelope, or the number of
//     submitters: budget.go, link.go and the limits of server.go.
//  6. A file in drop/ becomes one entry, also if power fails between the
//     commit and its removal: by its nonce.
//  7. One process a queue, by the lock; at start, what the former one left
//     unfinished is removed and what it renamed is synced.
//
// All trouble of ours is temporary for the submitter; only an envelope that no
// queue of ours takes is refused for good (refusal.go).
//
// Files: main.go start, control channel and end; server.go who may submit;
// connection.go one submitter, answers.go what it is told; envelope.go the submitted envelope; draft.go a
// message being received; commit.go what makes it an entry; counts.go what is counted of that; names.go message
// numbers and buckets; store.go what is in flight; budget.go and memory.go
// bounds of memory; nonces.go messages submitted twice;
// remember.go those of the process before us, unless it says that all is answered; link.go the dialogue
// with qmail-send; remove.go removal and quarantine; sweep.go what was left
// behind, leftovers.go who hears of that; shares.go how much strangers may submit; pressure.go when no mail is
// taken, tellfull.go who hears of it; drop.go, dropnonce.go and inotify_linux.go what was left in drop/;
// refusal.go exit codes; examine.go the settings, for qmail-showctl.
package spool
