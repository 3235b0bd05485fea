// Package mailbox hands work from the scheduler to goroutines that may wait.
//
// Only qmail-send and its parts import it. It holds what it is given in memory
// and nothing else: who puts bounds it.
package mailbox
