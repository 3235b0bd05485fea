// Package exposition reads figures in the text format of Prometheus: lines of a
// name, labels in braces and a number.
//
// Rooms may import it. It imports nothing of ours. Input is what a process that
// is told figures by others has written: hostile. Every count and length is
// bounded, nothing that is read is kept but by the caller, and text with a line
// of another form is refused as a whole, with the number of that line.
//
// The library of Prometheus (prometheus/common) does the same with protobuf and
// net/http behind it, which a program that root starts can do without.
//
// Files: exposition.go samples; histogram.go what buckets say of times.
package exposition
