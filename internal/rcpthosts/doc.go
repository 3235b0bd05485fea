// Package rcpthosts says for which recipients mail is taken from anybody:
// control/rcpthosts and morercpthosts.cdb (spec section 6.1).
//
// Network daemons import it. The recipient is hostile; the control files are
// the administrator's, but may be damaged.
//
// Invariants:
//
//  1. What cannot be read is an error, temporary, and never "all domains".
//  2. A missing rcpthosts means the local domains only. Stock qmail relays for
//     the whole world then; who wants that sets RELAYCLIENT.
//  3. A name matches as a whole, or by a suffix that begins with a dot; only
//     ASCII letters match in both cases. The two spellings of an
//     internationalized domain are the same.
//  4. An address that percenthack would turn into another one is judged by
//     that other one.
//
// Files: takes.go.
package rcpthosts
