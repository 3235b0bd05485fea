// Package sessions is what daemons do that serve the sockets qmail-start hands
// over: they accept, know which sessions are open, leave what comes from now on
// to a successor, and end.
//
// Daemons of smtpd import it. It reads and writes nothing of what clients say.
//
//  1. A connection that was accepted belongs to a session, or is closed.
//  2. When the daemon stops, who waits for a client ends at once, who has mail in
//     hand has Drain for it, and what is left then is cut off.
//  3. A daemon whose successor has the sockets serves its clients to the end.
//
// Files: sessions.go (what is open), accept.go (what comes), end.go (how it ends).
package sessions
