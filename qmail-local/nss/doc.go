// Package nss is qmail-nss: it asks the name services of the machine for
// accounts that /etc/passwd does not have, for qmail-lspawn and qmail-lookup,
// which therefore say the same of a name and neither start nor load anything.
//
// Only cmd/qmail-nss imports it. Questions are hostile: a client chose the name.
// What getent says is believed; internal/getent bounds it.
//
// Invariants:
//
//  1. Few runs of getent at a time, each for the names that wait then; the same
//     name is asked for once.
//
//  2. Trouble is never an answer, and it is not kept.
//
//  3. What is kept has a bound in number and in time, and less time for names
//     that do not exist.
//
//     main.go   Main: the control channel, links
//     cache.go  answers of the last moments
//     asker.go  names that wait for a run of getent
package nss
