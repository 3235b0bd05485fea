// Package handover is what qmail-start leaves to the program that it executes
// in its own place, so that sockets stay open and daemons run on: a text in a
// file of memory, the descriptors that it speaks of, and the word in the
// environment that they are there.
//
// qmail-start and internal/priv import it. The text is qmail-start's own, handed
// to a program that root has put into its place; it is checked all the same,
// since the two programs are of different versions.
//
// # The text
//
// Lines of words, a blank between two, LF behind each:
//
//	postrider handover 1     the version of this text: a program that does not
//	                         know it must not be executed
//	speaks N                 the version of the protocols between daemons
//	                         (internal/wire/parent) of the one that hands over
//	lock FD                  the queue's lock
//	public FD                the socket for everybody who submits
//	manage FD                the one of those who look after the queue
//	log READ WRITE           both ends of the logger's pipe; only with a logger
//	socket FD                a listening TCP socket; any number
//	member PID FD N UNTIL NAME
//	                         a process that runs, whose place in the plan is
//	                         NAME, which may have blanks; FD is its control
//	                         channel, -1 if it has none or was told to end; N is
//	                         the version of the protocols that it speaks; UNTIL
//	                         is 0, or the second since 1970 until which one that
//	                         only finishes its sessions has time; any number
//	crc XXXXXXXX             CRC-32C of all lines before, in hexadecimal digits
//
// # The environment
//
// QMAIL_START_HANDOVER=PID FD [FD...] says to the process PID which descriptors
// came through exec; the first one has the text. QMAIL_START_HANDOVER=check
// asks a child to read the text on descriptor 3, and all that it would need to
// go on from there, and only to say whether it could.
//
// Files: text.go, environ.go.
package handover
