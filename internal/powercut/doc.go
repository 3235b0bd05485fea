// Package powercut proves that what the suite has promised survives a power
// cut: from the file operations of the suite at work it builds every state
// that a file system may legally leave, and looks in each for all mail that
// somebody was told is safe.
//
// Who may import it: tests only. It knows the formats of the queue by itself,
// so that it does not share the suite's mistakes; of the suite it trusts
// nothing but that strace shows all it does.
//
// How it works:
//
//  1. Tests record a suite on a test host under strace. What the trace says
//     the files are at the end is compared with the disk: a call that is not
//     understood fails the test.
//  2. A trace is operations (on names and content), syncs, and marks: what
//     somebody was told. A sync covers what had ended when it began, and
//     counts when it has ended; one of the kernel's queue (io_submit) ends
//     when its result is fetched. A mark counts from its beginning.
//  3. After every moment of the trace, what no sync covers may be on disk or
//     not, writes also as zeros or by half, in every combination that the
//     Model allows or, where these are too many, in those that differ little
//     from none and from all, and some at random.
//  4. A state must have every acknowledged message for every recipient: whole
//     in the queue, whole in the mailbox, bounced, or deleted by an operator;
//     what an operator was answered must be known; and no file that
//     docs/architecture.md does not explain.
//  5. On some states the suite is started, and the power fails again.
//
// Real disks take part too: file systems that are stopped under load, and
// every block that they wrote, replayed.
//
// Files:
//
//	strace.go     system calls, from the output of strace
//	parse.go      what they do to the files; calls.go by call, syncs.go what
//	              is synced when, marks.go what is promised when
//	op.go         operations, syncs, marks, Trace
//	tree.go       files and directories at a moment
//	model.go      what must be on disk
//	enumerate.go  what may be
//	build.go      the tree of a state
//	format.go     the formats of the queue
//	check.go      what a state must hold; orders.go of orders of operators
//	explore.go    all states of a trace, and the shortest way to break a rule
//
// The tests: record_test.go and workloads_test.go (what is recorded),
// powercut_test.go and restart_test.go (all states, and the suite on some of
// them), mutate_test.go and mutant_test.go (what must be found), cut_test.go
// (disks that are stopped), block_test.go and blockdisk_test.go (disks that
// remember every write).
package powercut
