// Package top is qmail-top: the queue, its channels and destinations, sessions,
// processes and the end of the log on one screen, drawn anew each second.
//
// Only its main in cmd imports it. It asks qmail-metrics for figures and
// qmail-send for destinations, and follows the log; it changes nothing. All of
// what it reads was said by others, in the end by other hosts and clients: what
// is kept is bounded, and nothing but printable ASCII gets onto the screen
// (canvas.put is the only way there).
//
// It costs the suite little: figures are counted anyway, and qmail-send is asked
// again only after a multiple of the time that its last answer took. Nobody
// lists the queue, unless there are no figures; then seldom.
//
// Three parts, of which the first two are functions of what they are given:
//
//   - what is known: reading.go (figures of one moment), history.go (rates),
//     event.go (lines of the log), model.go
//   - what one sees: view.go (where), blocks.go (what), words.go (numbers and
//     times), canvas.go (cells), keys.go (what keys change)
//   - the world: connect.go (sockets), tail.go (the log's file), main.go
//     (arguments, one screen as text), watch.go (all that is asked for again and
//     again), screen.go (the terminal)
package top
