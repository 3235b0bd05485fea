package getopt

import "strings"

// An Opt is one option as it was given. Value is empty for a letter that takes
// no argument.
type Opt struct {
	Letter byte
	Value  string
}

// An Error names the letter that could not be used.
type Error struct {
	Letter byte
	// Missing is set if the letter is known and lacks its argument.
	Missing bool
}

func (e *Error) Error() string {
	if e.Missing {
		return "option requires an argument -- " + string([]byte{e.Letter})
	}
	return "illegal option -- " + string([]byte{e.Letter})
}

// Parse reads the options at the front of args, which does not include the
// program's name. In spec each letter stands for an option, and a colon behind
// it says that it takes an argument: "ab:c". With two colons the argument must
// be attached and may be missing: "q::" for -q and -q30m. The options come back in their
// order, repeated ones as often as given; rest is what follows them. With an
// error, opts holds what was understood before it.
func Parse(args []string, spec string) (opts []Opt, rest []string, err error) {
	for len(args) > 0 {
		word := args[0]
		if len(word) < 2 || word[0] != '-' {
			return opts, args, nil
		}
		args = args[1:]
		if word == "--" {
			return opts, args, nil
		}
		for i := 1; i < len(word); i++ {
			letter := word[i]
			takes, known := lookup(spec, letter)
			if !known {
				return opts, args, &Error{Letter: letter}
			}
			if takes == "" {
				opts = append(opts, Opt{Letter: letter})
				continue
			}
			value := word[i+1:]
			if value == "" && takes == ":" {
				if len(args) == 0 {
					return opts, args, &Error{Letter: letter, Missing: true}
				}
				value, args = args[0], args[1:]
			}
			opts = append(opts, Opt{letter, value})
			break
		}
	}
	return opts, args, nil
}

// lookup finds letter in spec and returns the colons behind it. A colon is never
// a letter.
func lookup(spec string, letter byte) (takes string, known bool) {
	i := strings.IndexByte(spec, letter)
	if i < 0 || letter == ':' {
		return "", false
	}
	rest := spec[i+1:]
	return rest[:len(rest)-len(strings.TrimLeft(rest, ":"))], true
}
