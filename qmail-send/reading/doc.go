// Package reading takes a message out of the queue: its entry, its progress file,
// and its recipients, by where they go.
//
// Only qmail-send imports it.
//
// Input: queue entries and progress files (ours, but torn or damaged by crash and
// disk: checked), and addresses that are rewritten by control files (checked again:
// rewriting can make them too long, or take a domain away). Errors are
// queuedir.ErrDamaged and ErrTorn, with progress.ErrFile where the progress file is
// at fault; all others are temporary.
//
// Recipients are read a section at a time, so that memory does not grow with their
// number.
//
// Files: read.go.
package reading
