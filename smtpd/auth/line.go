package auth

import (
	"encoding/base64"
	"strings"

	"postrider/internal/saslprep"
	"postrider/internal/wire/auth"
)

// maxLine bounds a line, so that a file in another format is not taken for one.
const maxLine = 4096

// keyWord begins a comment that holds the secret of the file.
const keyWord = "#key "

// parseBook takes lines "user:hash". Empty ones and those that begin with "#"
// are passed over, but for the secret of the file, without which it is the given
// one. wrong are the numbers of lines that are not understood; where such a line
// names a user, nobody can tell that user's password.
func parseBook(text string, secret []byte) (b *book, wrong []int) {
	b = &book{accounts: make(map[string]account), secret: secret, scram: true}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if key, found := parseKey(line); found {
			b.secret = key
		}
		if line == "" || line[0] == '#' {
			continue
		}
		user, text, found := strings.Cut(line, ":")
		user = saslprep.Prepare(user)
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
	b.arrange()
	for _, a := range b.accounts {
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

// parseKey takes a line "#key" with a secret in base64.
func parseKey(line string) (secret []byte, found bool) {
	coded, found := strings.CutPrefix(line, keyWord)
	if !found || len(coded) > maxLine {
		return nil, false
	}
	secret, err := base64.StdEncoding.DecodeString(coded)
	return secret, err == nil && len(secret) == keySize
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
