package vpopmail

import (
	"fmt"
	"strings"

	"postrider/internal/control"
)

// extensionsWord is named as the option of vpopmail's configure that does this.
const extensionsWord = "qmail-ext"

// Settings is what control/vpopmail says.
type Settings struct {
	// Dir is vpopmail's directory. If it is empty, lines that run vdelivermail
	// are like all others.
	Dir string
	// Extensions gives the user joe the mail for joe-anything, too.
	Extensions bool
}

// Load reads control/vpopmail: a directory, and behind a blank perhaps the word
// qmail-ext.
func Load(dir control.Dir) (Settings, error) {
	line, err := dir.Line("vpopmail", "")
	if err != nil || line == "" {
		return Settings{}, err
	}
	words := strings.Fields(line)
	s := Settings{Dir: strings.TrimRight(words[0], "/")}
	if !strings.HasPrefix(s.Dir, "/") || !isPlain(s.Dir) {
		return Settings{}, fmt.Errorf("%s/vpopmail: %q is no directory's name", dir, words[0])
	}
	for _, word := range words[1:] {
		if word != extensionsWord {
			return Settings{}, fmt.Errorf("%s/vpopmail: unknown word %q", dir, word)
		}
		s.Extensions = true
	}
	return s, nil
}
