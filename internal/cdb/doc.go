// Package cdb reads and writes constant databases: users/cdb,
// morercpthosts.cdb, tcp.smtp.cdb (spec section 0.2).
//
// Any package may import it. A file is written by an administrator, or by a
// foreign tool on his behalf; it may be truncated or damaged, so the reader
// trusts no number in it.
//
// Invariants:
//
//  1. Get never reads beyond the file and never allocates more than MaxData.
//  2. A lookup ends after at most as many probes as its table has slots.
//  3. The first record that was added with a key is the one that is found.
//  4. Replace leaves either the old file or the whole new file, also after a
//     power cut; after an error the old file is untouched.
//
// A damaged file is ErrFormat; every error of this package is temporary.
//
//	reader.go   Open, NewReader, Get
//	writer.go   Writer, Replace
//	hash.go     the hash function and the layout's constants
package cdb
