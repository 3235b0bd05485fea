// Package qmailsend is qmail-send, the scheduler: it decides where each
// recipient goes, gives out deliveries, and records, retries, bounces or
// removes what comes of them (spec section 2).
//
// Only cmd/qmail-send imports it.
//
// Input: queue entries and progress files (ours, but torn or damaged by crash
// and disk: checked), control files (the administrator's), what qmail-spool,
// qmail-lspawn and the qmail-remote workers say (processes of other users:
// checked against what they were asked; one that breaks its protocol is
// dropped), and questions and orders of whoever connects (hostile). Whatever fails here is temporary for the mail; only a delivery
// agent's D, or its Z after queuelifetime, is permanent.
//
// Invariants:
//
//  1. One goroutine, scheduler.run, owns all state. It never waits for disk,
//     socket or log: others do, and post events.
//  2. A recipient is finished only by a K, or by a D whose text is durable
//     before the bounce that carries it is submitted, and whose bounce's
//     number is durable before the message is removed (R18, R19).
//  3. A message is in hand at most once, and in at most one pass a channel.
//  4. A message that is not in hand costs under 300 bytes. In hand, at most
//     256 recipients a pass are in memory, whatever their number.
//  5. First attempts never wait for retries to end: retries never hold all
//     slots, and are chosen after them. No sender's wait for another's: they
//     take turns, and some slots are left to those that hold none.
//  6. Nothing is given out of an entry that a scan found before the spool has
//     said that it is committed.
//  7. An order is durable before it is answered, but for "try now"; it changes
//     nothing about a delivery that is under way. One whose sync failed is
//     answered as not done, and never synced again as it is.
//  8. No more goes to a destination than control/destinations allows and its
//     hosts take, and none holds all slots. What waits for that has no attempt,
//     and waits beside the others' way; its sender hears what he would have
//     heard, and when. What is kept of destinations is bounded.
//  9. Setting the wall clock neither bounces a message as too old nor keeps it
//     waiting (R15).
//
// Files, in the order of a message's way:
//
//	main.go       start, signals, links from qmail-start
//	settings.go   control files
//	examine.go    the same for qmail-showctl
//	scheduler.go  state, the loop, next and do
//	message.go    what is kept of a queued message; the queues it waits in
//	spool.go      qmail-spool: new messages, removals
//	scan.go       finding what is in the queue, in the background
//	retry.go      pauses after trouble
//	lifetime.go   for how long
//	store.go      what others do for the scheduler
//	way.go        a channel: slots, and whose turn it is
//	open.go       taking a message in hand, starting passes
//	active.go     what is known of a message in hand
//	shape.go      what may go to its destination now, and what waits
//	stall.go      passes that wait in hand
//	connection.go a job to a destination, and what it tells of that
//	destination.go how much one takes
//	destinationtable.go whose domains are one, and who waits for it
//	speak.go      when a sender is to hear something
//	deliver.go    giving out deliveries, their results
//	heard.go      what links tell, and who delivers
//	settle.go     what is next when something has happened to a message
//	record.go     having progress files written
//	notify.go     having senders told
//	delay.go      of a delay
//	rewriting.go  the senders that other hosts are told of forwarded mail
//	isolate.go    messages that end those who deliver them
//	shaping.go    destinations, for operators
//	manage.go     what clients see of the queue
//	orders.go     what becomes of such an order, edit.go having it written down
//	exit.go       TERM, ALRM, HUP; what is kept at the end
//	counts.go     what is counted, census.go of the queue
//
// Its parts are packages of their own below this one, which know nothing of the
// scheduler:
//
//	timeline      time
//	mailbox       handing work to goroutines that may wait
//	retry         when a message is tried again
//	fair          turns of senders, and who one is
//	bounce        what senders are told, and how the spool gets it
//	progress      what is written down of a message
//	clients       who looks at the queue and changes it
//	links         the links to qmail-spool and to those who deliver
//	reading       entries, progress and recipients of a message
package qmailsend
