// Package captured is the drill for the day on which a program is taken over:
// in a running suite it is replaced by one that runs as the same user under
// the same restrictions, has all its links, and means ill (requirement R74,
// section 4.2 of the privilege matrix).
//
// The others must go on: none ends, none grows beyond its bound, mail that does
// not pass through the captured program is delivered once, and no file changes
// but those that may. When the sound program is back, all is as before, with
// nothing repaired by hand.
//
// Nobody imports it; there is nothing here but tests. They need root. The
// captured program is this test binary, installed in its place (life_test.go);
// it takes its rights away as the sound one does, with internal/priv.
//
// Files:
//
//	drill_test.go    the drills, a program each
//	host_test.go     the host, the honest mail meanwhile, what must hold
//	tree_test.go     all files of the host, and what of them may change
//	life_test.go     how a captured program lives: one attack a link and life
//	links_test.go    attacks on any link
//	asking_test.go   attacks on those who are asked, and on those who ask
//	queue_test.go    attacks on qmail-spool: messages, entries
//	jobs_test.go     attacks on qmail-lspawn, qmail-send and remote workers
//	worker_test.go   a user's qmail-local
package captured
