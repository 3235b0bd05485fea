// Package route decides where a recipient goes and under which address: spec
// section 2.2, from control/locals, virtualdomains, percenthack and envnoathost.
//
// Who may import it: qmail-send, which delivers so, and qmail-queue/show, which
// shows it.
//
// Input: control files, the administrator's, and envelope recipients, which are
// hostile and opaque.
//
// Invariants:
//
//  1. A Table never changes after it was made; Reread makes another.
//  2. Letters are compared in ASCII only, and no address loses its case. The two
//     spellings of an internationalized domain are the same domain.
//  3. The same recipient has the same way, whoever asks.
//
// An error is that of a control file which cannot be read.
//
// Files: table.go the control files; recipient.go the way of a recipient.
package route
