package commands

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"postrider/internal/header"
)

// maxHead is the longest header that a program looks into.
const maxHead = 256 << 10

var errLongHead = errors.New("the header is too long")

// readHead returns the header of a message, without the line that ends it.
func readHead(message io.Reader) (string, error) {
	in := bufio.NewReader(io.LimitReader(message, maxHead+1))
	var head strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return "", err
		}
		if strings.TrimRight(line, "\r\n") == "" {
			break
		}
		if !strings.HasSuffix(line, "\n") {
			line += "\n"
		}
		head.WriteString(line)
		if err == io.EOF {
			break
		}
	}
	if head.Len() > maxHead {
		return "", errLongHead
	}
	return head.String(), nil
}

// fields calls visit with each field of a header: its name in lower case and
// its body. What is no field is passed over.
func fields(head string, visit func(name, body string)) {
	for head != "" {
		var field string
		field, head = header.Next(head)
		if f := header.Split(field); f.Name != "" {
			visit(strings.ToLower(f.Name), f.Body)
		}
	}
}

// addresses calls visit with each address of the body of a field, as far as it
// can be understood.
func addresses(body string, visit func(header.Addr)) {
	list := header.NewParser(body)
	for {
		item, ok := list.Next()
		if !ok {
			return
		}
		if item.Kind == header.Mailbox {
			visit(item.Addr)
		}
	}
}

// unfolded is the body of a field as one line, without what could end it.
func unfolded(body string) string {
	return strings.Join(strings.FieldsFunc(body, func(r rune) bool { return r < ' ' || r == ' ' || r == 0x7f }), " ")
}
