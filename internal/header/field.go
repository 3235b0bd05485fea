package header

import "strings"

// Name returns the name of the field that begins with line: what stands before
// the colon without the blanks there. ok is false if line cannot begin a field:
// it has no colon, or the name is empty or has a byte outside 33 to 126.
func Name(line string) (name string, ok bool) {
	colon := strings.IndexByte(line, ':')
	if colon < 0 {
		return "", false
	}
	name = strings.TrimRight(line[:colon], " \t")
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < 33 || c > 126 {
			return "", false
		}
	}
	return name, len(name) > 0
}

// Continues reports whether line belongs to the field that the lines before it
// make.
func Continues(line string) bool {
	return len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
}

// A Field is one field of a header, both parts as they stand in the message.
type Field struct {
	Name string
	// Body is what follows the colon, with the line ends inside the field but
	// not the last one.
	Body string
}

// Next splits the first field from head, a sequence of valid fields of which
// each line ends in LF. It returns the whole field, its line ends included, and
// what follows.
func Next(head string) (field, rest string) {
	for end := 0; end < len(head); {
		lf := strings.IndexByte(head[end:], '\n')
		if lf < 0 {
			break
		}
		end += lf + 1
		if !Continues(head[end:]) {
			return head[:end], head[end:]
		}
	}
	return head, ""
}

// Split takes the name off a field as Next returns it.
func Split(field string) Field {
	name, ok := Name(field)
	if !ok {
		return Field{Body: field}
	}
	body := field[strings.IndexByte(field, ':')+1:]
	return Field{Name: name, Body: strings.TrimSuffix(body, "\n")}
}
