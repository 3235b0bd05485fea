// Package timeline is the scheduler's time, which no setting of the clock moves
// (R15): moments on a scale of its own, and what wall clocks show of them.
//
// Only qmail-send and its parts import it. It reads nothing: what comes in are
// times of a clock and of files. Nothing here fails.
package timeline
