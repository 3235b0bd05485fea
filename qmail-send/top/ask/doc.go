// Package ask asks the suite: qmail-metrics for figures, and qmail-send for
// destinations and, if there are no figures, for a count of the queue. It changes
// nothing.
//
// The parts of qmail-top import it. How long an answer may take, and how large one
// of figures may be, is bounded.
//
// File: connect.go.
package ask
