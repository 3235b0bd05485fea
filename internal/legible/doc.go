// Package legible makes text fit to be printed: what clients, hosts, files and
// users have said may move the cursor of a terminal, write in another direction,
// or hide.
//
// Programs that print for people import it. Text is hostile.
//
// Invariants:
//
//  1. What Line, Text and ASCII return, and what a JSON writer writes, has no
//     character that is no letter, mark, digit, punctuation, symbol or blank, but
//     for the line ends and tabs that Text leaves: no control character of the
//     first or the second set (ECMA-48), no order of writing (U+202A to U+202E,
//     U+2066 to U+2069), nothing of no width (U+200B to U+200F, U+FEFF), no tag
//     (U+E0000 on), no octet that is no UTF-8.
//
//  2. A reader of JSON gets every character that was written.
//
//     text.go  words for people
//     json.go  JSON, which people look at, too
package legible
