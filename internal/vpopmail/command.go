package vpopmail

import "strings"

// Kind is what becomes of mail for nobody.
type Kind int

// The kinds of what becomes of it.
const (
	Bounce    Kind = iota // it fails for good
	Delete                // it is thrown away
	Forward               // Text is an address
	Directory             // Text is a user's directory, where mail is delivered as for him
)

// Fallback is what a line that runs vdelivermail says about mail for nobody.
type Fallback struct {
	Kind Kind
	Text string
}

const (
	bounceWord = "bounce-no-mailbox"
	deleteWord = "delete"
)

// Parse takes a program line of a .qmail file apart, without its bar. Only one
// that surely does nothing but to run vpopmail's vdelivermail is understood:
// whatever a shell would do more is for the shell.
func (s Settings) Parse(line string) (f Fallback, understood bool) {
	if s.Dir == "" {
		return f, false
	}
	words := strings.Fields(line)
	if len(words) != 3 || words[0] != s.Dir+"/bin/vdelivermail" || words[1] != "''" && words[1] != `""` {
		return f, false
	}
	word := unquote(words[2])
	if !isPlain(word) {
		return f, false
	}
	switch {
	case word == bounceWord:
		return Fallback{Bounce, ""}, true
	case word == deleteWord:
		return Fallback{Delete, ""}, true
	case strings.HasPrefix(word, "/"):
		return Fallback{Directory, strings.TrimRight(word, "/")}, strings.TrimRight(word, "/") != ""
	}
	local, domain, _ := strings.Cut(word, "@")
	return Fallback{Forward, word}, local != "" && domain != "" && word[0] != '.'
}

// unquote takes the quotes from around a word.
func unquote(word string) string {
	if n := len(word); n >= 2 && (word[0] == '\'' || word[0] == '"') && word[n-1] == word[0] {
		return word[1 : n-1]
	}
	return word
}

// isPlain tells whether a word has no byte that means something to a shell.
func isPlain(word string) bool {
	for _, c := range []byte(word) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte("@%+=:,./_-", c) < 0 {
			return false
		}
	}
	return word != ""
}
