// Package figures counts what daemons do, in memory that another process reads.
//
// Imported by the daemons' rooms, which count; by qmail-start, which makes the
// memory; and by qmail-metrics, which tells what is counted. Who counts makes no
// system call and waits for nobody. Who reads believes nothing that it finds: a
// daemon that was taken over can write what it likes into its own area.
//
// Invariants:
//
//  1. An area has one writer at a time, the process that qmail-start gave it
//     to. It is as large as the table says, for ever: it is sealed.
//
//  2. An area outlives its process, and with it the counters and histograms:
//     they never go back. Gauges are those of a process that runs.
//
//  3. Processes whose tables differ never share an area: qmail-start compares
//     layouts, which are checksums of the table.
//
//  4. Whatever the words of an area are, what is told of them is a number that is
//     not negative, under the names of the table, and of those metrics alone that
//     the area's program counts.
//
// Files: table.go (what is counted, by whom, under which name), metric.go (what
// a row of it says), layout.go (where that is), counts.go (counting),
// memory_linux.go (areas), read.go (what they hold).
package figures
