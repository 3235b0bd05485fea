// Package offspring ends a program of somebody else with all that it has
// started, whatever session and process group that is in by then, and whether
// its parents still live.
//
// Imported by those who give programs a time limit: qmail-local's workers,
// qmail-filter and qmail-checkpass.
//
// A process group holds only who stays in it, and nobody is the parent of what
// a program has left behind. So each program gets a mark that everything it
// starts inherits: a resource limit that means nothing to it, RLIMIT_RTTIME,
// which is for processes with a real-time priority. Marks are hard limits:
// nobody can go back to another one. A process that lowers its limit on purpose
// takes leave of its family; it is still its user's, with the limits of
// internal/limits.
//
// The mark is set on this process and inherited at the fork: there is no moment
// at which a program could start something without it. A start therefore lowers
// the limit of this process for good. If that is limited already, by whoever
// started us, programs are not marked, and what is ended is the process group.
//
// A program that ends itself may leave others behind. Where that is not wanted for
// ever, they have time until the program's own would be over (Rest). A process that
// ends forgets whom it has given time, but for EndRest.
//
// Files: mark.go (what a program carries), kill.go (its end), expiry.go (its end
// before its time), rest.go (the end of what it has left behind).
package offspring
