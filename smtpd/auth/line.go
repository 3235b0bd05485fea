package auth

import (
	"strings"

	"postrider/internal/wire/auth"
)

// maxLine bounds a line, so that a file in another format is not taken for one.
const maxLine = 4096

// parseBook takes lines "user:hash". Empty ones and those that begin with "#"
// are passed over. wrong are the numbers of lines that are not understood; where
// such a line names a user, nobody can tell that user's password.
func parseBook(text string) (b *book, wrong []int) {
	b = &book{accounts: make(map[string]account), scram: true}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		user, text, found := strings.Cut(line, ":")
		h, ok := parseHash(text)
		if _, twice := b.accounts[user]; twice || !found || !ok || len(line) > maxLine || !isUser(user) {
			wrong = append(wrong, number)
			h = nil
		}
		if !isUser(user) {
			continue
		}
		b.accounts[user] = account{h}
	}
	for _, a := range b.accounts {
		b.list = append(b.list, a)
		switch a.hash.(type) {
		case plain:
			b.plain = true
		case keys:
		case nil:
		default:
			b.scram = false
		}
	}
	return b, wrong
}

// isUser reports whether a name can be one that a client says.
func isUser(name string) bool {
	for _, c := range name {
		if c < ' ' || c == 0x7f || c == 0xfffd {
			return false
		}
	}
	return name != "" && len(name) <= auth.MaxUser
}
