// Package queuecheck looks whether a queue is sound: it says of each file that is
// not as it should be what it is, what becomes of it, and what to do. It can put
// some of that right.
//
// Who may import it: qmail-queue/queuectl, and tests.
//
// Input: a queue that may be in use, damaged, or put together from copies of
// different times. Its files may be anything, those of drop/ are hostile.
//
// Invariants:
//
//  1. Nothing is changed without Config.Repair, and with it nothing is removed:
//     what has no place goes into bad/. Repair holds the locks of both daemons.
//  2. What a working suite has for moments only is looked at again, until it is
//     over or has stayed for longer than any moment.
//  3. Memory is bounded, whatever is in the queue; nothing is waited for, and no
//     link is followed below the queue.
//  4. Own is what the suite ends by itself when it is started or goes on: every
//     state that a power cut leaves. Hands is what it leaves as it is.
//
// Files:
//
//	check.go    the order in which everything is looked at
//	finding.go  what is found, and what that means
//	settle.go   what passes by itself
//	tree.go     directories and locks
//	message.go  new/ and info/
//	aside.go    tmp/ and bad/
//	drop.go     drop/
//	owners.go   whose files are
//	repair.go   what is put right
package queuecheck
