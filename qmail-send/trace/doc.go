// Package trace is qmail-trace: it finds in the logs what happened to a message,
// or to the mail of an address, and tells it in order.
//
// Only its main in cmd imports it. It reads files that the caller may read, and
// changes nothing. Logs can have any size and any bytes: lines are cut at
// maxLine, and what is kept is bounded by what belongs to the story.
//
// A line belongs to a story if it names one of its messages, one of its
// deliveries or one of its sessions. Which these are shows only as one reads:
// the session of a message is named on the line that has its number, behind the
// lines of the session; a bounce is named by the message it is about, which may
// be in another file. So all is read again until nothing is found any more, and
// then once more to collect.
//
// main.go (arguments), sources.go (files and their lines), finder.go (what
// belongs), story.go (what was collected, in order), tell.go (in words).
package trace
