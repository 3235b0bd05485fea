// Package top is qmail-top: the queue, its channels and destinations, sessions,
// processes and the end of the log on one screen, drawn anew each second.
//
// Only its main in cmd imports it. It asks qmail-metrics for figures and
// qmail-send for destinations, and follows the log; it changes nothing. All of
// what it reads was said by others, in the end by other hosts and clients: what
// is kept is bounded, and nothing but printable ASCII gets onto the screen
// (package picture sees to that).
//
// It costs the suite little: figures are counted anyway, and qmail-send is asked
// again only after a multiple of the time that its last answer took. Nobody
// lists the queue, unless there are no figures; then seldom.
//
// Its parts have packages of their own, each of which knows those before it:
//
//   - wording: numbers and times in few columns
//   - readings: the figures of a moment, and rates
//   - logtail: the end of the log
//   - ask: the questions to qmail-metrics and qmail-send
//   - picture: what is known, and how that looks
//
// Here is the world: main.go (arguments, one screen as text), watch.go (all that
// is asked for again and again), screen.go (the terminal).
package top
