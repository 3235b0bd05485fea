// Package logline writes log lines without ever holding up the mail: a sink
// that blocks or is gone costs lines, which are counted, and nothing else.
//
// Rooms, cmd and the packages below them may import it. What is logged may
// hold hostile bytes; Safe makes one word of them, and Writer replaces what is
// no printable ASCII, so that one event is one line (R57).
//
// Invariants:
//
//  1. Line, Status and Close return without waiting for the sink (Close waits
//     for a bounded time).
//  2. At most MaxPending bytes wait for the sink.
//  3. The sink sees whole lines only, in order, many in one write; a write of
//     more than one line is at most PIPE_BUF bytes, so that lines of several
//     programs on one pipe do not mix.
//  4. A lost line is counted, and the count is logged once the sink takes
//     lines again. Status lines are lost first.
//
// Files: safe.go (the log-safe form of a text), seldom.go (trouble that every
// message meets), writer.go (the writer).
package logline
