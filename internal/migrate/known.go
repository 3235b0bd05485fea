package migrate

import (
	"strings"
)

// Lines that our writer puts into .qmail files, and that people write as well.
// What they do is known without running them.
const (
	forwardProgram = "/bin/forward "
	refuseProgram  = "/bin/bouncesaying "
	restOfLocal    = "$DEFAULT@"
)

// RestLine is the line, without its bar, that forwards to what is left of the local
// part at another domain: text is the domain, or prefix@domain. ok is false for one
// in which a shell might see more than that. home is the qmail home directory.
func RestLine(home, text string) (line string, ok bool) {
	prefix, domain := Split(text)
	if domain == "" {
		prefix, domain = "", text
	}
	if domain == "" || strings.ContainsFunc(prefix, isOddLocal) || strings.ContainsFunc(domain, isOdd) {
		return "", false
	}
	return home + forwardProgram + `"` + prefix + restOfLocal + domain + `"`, true
}

// RefuseLine is the line, without its bar, that fails mail for good.
func RefuseLine(home, text string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r == '\'' {
			return -1
		}
		return r
	}, text)
	return home + refuseProgram + "'" + plain + "'"
}

// KnownProgram takes such a line apart. Of any other, known is false.
func KnownProgram(home, line string) (t Target, known bool) {
	line = strings.Trim(line, " \t")
	if rest, found := strings.CutPrefix(line, home+forwardProgram+`"`); found {
		rest, whole := strings.CutSuffix(rest, `"`)
		prefix, domain, found := strings.Cut(rest, restOfLocal)
		text := domain
		if prefix != "" {
			text = prefix + "@" + domain
		}
		if again, ok := RestLine(home, text); whole && found && ok && again == line {
			return Target{Rest, text}, true
		}
	}
	if rest, found := strings.CutPrefix(line, home+refuseProgram); found && len(rest) >= 2 && rest[0] == '\'' {
		text, whole := strings.CutSuffix(rest[1:], "'")
		if whole && !strings.Contains(text, "'") {
			return Target{Refuse, text}, true
		}
	}
	return Target{}, false
}

// isOdd tells a byte that has no place in a domain, and might mean something to
// a shell.
func isOdd(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_' || r > 127)
}

func isOddLocal(r rune) bool { return isOdd(r) && r != '+' && r != '=' }

// RestOf puts what is left of a local part into a Rest.
func RestOf(t Target, rest string) string {
	prefix, domain := Split(t.Text)
	if domain == "" {
		prefix, domain = "", t.Text
	}
	return prefix + rest + "@" + domain
}
