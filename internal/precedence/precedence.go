// Package precedence says which messages are of lists or were sent in bulk:
// nobody waits for such a message, nor wants to hear that it is late.
//
// Who puts messages into the queue imports it, and says there what it found
// (queuedir.Head); it imports nothing of ours. Its input is hostile, and is looked
// at once, in bounded memory.
//
// Files: precedence.go a line of a header; look.go a message.
package precedence

import "strings"

// SaysBulk reports whether a line of a header says so: Precedence (bulk, list or
// junk), Mailing-List, or a field whose name begins with List- (RFC 2369, 2919).
func SaysBulk(line string) bool {
	name, value, found := strings.Cut(line, ":")
	if !found {
		return false
	}
	name = strings.ToLower(strings.TrimRight(name, " \t"))
	if name == "precedence" {
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "bulk", "list", "junk":
			return true
		}
		return false
	}
	return name == "mailing-list" || strings.HasPrefix(name, "list-") && !strings.ContainsAny(name, " \t")
}
