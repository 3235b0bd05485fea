package postfix

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"

	"postrider/internal/migrate"
)

// rule is a line of a table of patterns.
type rule struct {
	pattern *regexp.Regexp
	not     bool
	value   string
	source  string // the line
	size    int    // instructions of the matcher
	// skip, of an "if", is how many rules are passed over where it is not met.
	skip  int
	isIf  bool
	where migrate.Where
}

var (
	errPattern = errors.New("a pattern that is not understood")
	errIf      = errors.New("an if without its endif")
)

const (
	maxPatterns = 10000
	maxPattern  = 4096
	// maxProgram is how many instructions a matcher has for all patterns of a
	// table.
	maxProgram = 1 << 20
)

// readPatterns reads a table of regexp_table(5) or pcre_table(5). Patterns that
// only a backtracking matcher has (look-ahead, references) are not understood, and
// then nothing of the table is: a rule that is missing would let another match.
func (t *table) readPatterns(tree *migrate.Tree, file string) error {
	text, err := tree.Read(file)
	if err != nil {
		return err
	}
	t.rules = []rule{}
	var open []int
	size := 0
	for _, l := range logicalLines(text) {
		where := migrate.Where{File: file, Line: l.line}
		line := l.text
		if strings.EqualFold(line, "endif") {
			if len(open) == 0 {
				return remarkable{where, errIf}
			}
			begin := open[len(open)-1]
			t.rules[begin].skip = len(t.rules) - begin - 1
			open = open[:len(open)-1]
			continue
		}
		rest, isIf := strings.CutPrefix(line, "if ")
		if isIf {
			line = strings.TrimSpace(rest)
			open = append(open, len(t.rules))
		}
		r, err := parseRule(line)
		size += r.size
		if err != nil || len(t.rules) == maxPatterns || size > maxProgram {
			return remarkable{where, errors.Join(err, errPattern)}
		}
		r.isIf, r.where, r.source = isIf, where, short(l.text)
		t.rules = append(t.rules, r)
	}
	if len(open) > 0 {
		return errIf
	}
	return nil
}

// remarkable is an error with its place.
type remarkable struct {
	where migrate.Where
	err   error
}

func (r remarkable) Error() string {
	return r.where.String() + ": " + strings.ReplaceAll(r.err.Error(), "\n", ": ")
}

// parseRule reads /pattern/flags value, or !/pattern/flags value.
func parseRule(line string) (r rule, err error) {
	if line, r.not = strings.CutPrefix(line, "!"); line == "" {
		return r, errPattern
	}
	delimiter := line[0]
	end := -1
	for i := 1; i < len(line); i++ {
		if line[i] == '\\' {
			i++
		} else if line[i] == delimiter {
			end = i
			break
		}
	}
	if end < 0 || end > maxPattern {
		return r, errPattern
	}
	pattern := line[1:end]
	flags, value := cutKey(line[end+1:] + " ")
	if strings.HasPrefix(line[end+1:], " ") || strings.HasPrefix(line[end+1:], "\t") {
		flags, value = "", strings.TrimSpace(line[end+1:])
	}
	ignoreCase := true
	for _, f := range flags {
		switch f {
		case 'i':
			ignoreCase = !ignoreCase
		case 'm', 's', 'x', 'A', 'E', 'U', 'X': // of pcre, or without a meaning for an address
		default:
			return r, errPattern
		}
	}
	if ignoreCase {
		pattern = "(?i)" + pattern
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return r, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return r, err
	}
	r.size, r.value = len(program.Inst), value
	r.pattern, err = regexp.Compile(pattern)
	return r, err
}

// match finds the first rule that fits.
func (t *table) match(key string) (e entry, found bool, err error) {
	for i := 0; i < len(t.rules); i++ {
		r := t.rules[i]
		at := r.pattern.FindStringSubmatchIndex(key)
		met := (at != nil) != r.not
		switch {
		case r.isIf && !met:
			i += r.skip
		case r.isIf, !met:
		case at == nil:
			return entry{key, r.value, r.where}, true, nil
		default:
			return entry{key, string(r.pattern.ExpandString(nil, forGo(r.value), key, at)), r.where}, true, nil
		}
	}
	return entry{}, false, nil
}

// forGo writes $1, ${1} and $(1) as Go has them.
func forGo(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '$' || i+1 == len(value) {
			b.WriteByte(value[i])
			continue
		}
		i++
		switch c := value[i]; {
		case c == '$':
			b.WriteString("$$")
		case '0' <= c && c <= '9':
			b.WriteString("${" + string(c) + "}")
		case c == '{' || c == '(':
			if inner, after, err := macro(value[i:]); err == nil {
				b.WriteString("${" + inner + "}")
				i = len(value) - len(after) - 1
			}
		default:
			b.WriteString("$$" + string(c))
		}
	}
	return b.String()
}
