// Package faulttest is for tests of what happens when a system call fails: it makes
// calls fail on one thread of a test, as on a machine that is short of something
// or under the filter of a container, and tells which files are open.
//
// Who may import it: tests. It imports nothing of ours.
//
// Package faultcall does more, to whole programs from outside: one call of many,
// short writes, and results that come later. Here each call of that number fails,
// and nothing of it is done; what runs is seen by the test's measure of coverage.
//
// Files: thread_linux.go calls that fail; open_linux.go what is open.
package faulttest
