package postfix

import (
	"strings"

	"postrider/internal/migrate"
)

// service is a line of master.cf.
type service struct {
	name, kind, program string
	args                []string
	options             map[string]string // -o name=value
	where               migrate.Where
}

// fieldsOfService are those before the arguments: name, type, private,
// unprivileged, chroot, wakeup, maxproc, command.
const fieldsOfService = 8

// parseMaster reads master.cf. A line that is none is a remark.
func parseMaster(text, file string) (all []service, broken []migrate.Remark) {
	for _, l := range logicalLines(text) {
		where := migrate.Where{File: file, Line: l.line}
		fields := splitArguments(l.text)
		if len(fields) < fieldsOfService {
			broken = append(broken, migrate.Remark{Kind: migrate.Lost, Where: where, What: short(l.text), Text: "this is no line of master.cf: it has fewer than eight fields"})
			continue
		}
		s := service{name: fields[0], kind: fields[1], program: fields[7], options: map[string]string{}, where: where}
		s.arguments(fields[fieldsOfService:])
		all = append(all, s)
	}
	return all, broken
}

// splitArguments splits at blanks; what is in braces stays together.
func splitArguments(text string) []string {
	var all []string
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		if rest[0] == '{' {
			if inner, after, err := macro(rest); err == nil {
				all, rest = append(all, strings.TrimSpace(inner)), after
				continue
			}
		}
		end := strings.IndexAny(rest, " \t")
		if end < 0 {
			end = len(rest)
		}
		all, rest = append(all, rest[:end]), rest[end:]
	}
	return all
}

// arguments takes the options apart. One is "-o name=value" or "-oname=value".
func (s *service) arguments(args []string) {
	for i := 0; i < len(args); i++ {
		option, is := strings.CutPrefix(args[i], "-o")
		if !is {
			s.args = append(s.args, args[i])
			continue
		}
		if option == "" && i+1 < len(args) {
			i++
			option = args[i]
		}
		name, value, _ := strings.Cut(option, "=")
		s.options[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
}
