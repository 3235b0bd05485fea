// Package readings is what the figures of qmail-metrics say: at one moment, and by
// how much they grow.
//
// The parts of qmail-top import it. The figures are text of a process that may have
// been told anything: how much is kept of them is bounded, and so is for how long.
//
// Files: reading.go (one moment), history.go (rates).
package readings
