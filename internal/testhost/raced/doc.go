// Package raced says whether this test is run under Go's race detector: it takes
// memory of its own, and with it a program has C in it, which
// syscall.AllThreadsSyscall refuses to work beside.
//
// Tests import it that show what holds only for programs as they are installed.
package raced
