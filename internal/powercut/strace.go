package powercut

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// StraceArgs are the options of strace by which Parse understands its output:
// every call that can change or sync a file, or tell somebody something.
func StraceArgs() []string {
	return []string{
		"-f", "-Y", "-y", "-xx", "-s", "4194304", "-qq", "-e", "signal=none",
		"-e", "trace=" + strings.Join(tracedCalls(), ","),
	}
}

// call is a system call that has ended.
type call struct {
	pid        int
	program    string
	name       string
	args       []string
	result     int64
	failed     bool
	begin, end int // lines of the trace
	line       string
}

var (
	lineStart = regexp.MustCompile(`^(\d+)<((?:\\x[0-9a-f]{2})*)> +(.*)$`)
	resumed   = regexp.MustCompile(`^<\.\.\. (\w+) resumed>(.*)$`)
	callStart = regexp.MustCompile(`^(\w+)\(`)
	callEnd   = regexp.MustCompile(`\) += (-?\d+|0x[0-9a-f]+|\?)(.*)$`)
)

const unfinished = " <unfinished ...>"

// readCalls calls visit for each call of the trace when it ends, in that order.
func readCalls(r io.Reader, visit func(*call) error) error {
	lines := bufio.NewReaderSize(r, 1<<20)
	waiting := make(map[int]*call)
	for number := 1; ; number++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF && line == "" {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		c, err := readLine(strings.TrimSuffix(line, "\n"), number, waiting)
		if err == nil && c != nil {
			err = visit(c)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
}

// readLine returns the call that ends in a line, if one does.
func readLine(line string, number int, waiting map[int]*call) (*call, error) {
	m := lineStart.FindStringSubmatch(line)
	if m == nil {
		return nil, fmt.Errorf("no line of strace: %.200q", line)
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		return nil, err
	}
	rest := m[3]
	for _, other := range []string{"+++", "---", "???(", "<... ??? resumed>"} {
		if strings.HasPrefix(rest, other) {
			return nil, nil // exits, signals, and calls of a thread that ends
		}
	}
	if r := resumed.FindStringSubmatch(rest); r != nil {
		c := waiting[pid]
		if c == nil || c.name != r[1] {
			return nil, fmt.Errorf("the end of a call that did not begin: %.200q", line)
		}
		delete(waiting, pid)
		c.line += r[2]
		return finish(c, number)
	}
	name := callStart.FindStringSubmatch(rest)
	if name == nil {
		return nil, fmt.Errorf("no call: %.200q", line)
	}
	c := &call{pid: pid, program: unhex(m[2]), name: name[1], begin: number, line: rest}
	if strings.HasSuffix(rest, "<detached ...>") {
		return nil, nil // strace ends before the program
	}
	if begun, cut := strings.CutSuffix(rest, unfinished); cut {
		c.line = begun
		waiting[pid] = c
		return nil, nil
	}
	return finish(c, number)
}

func finish(c *call, number int) (*call, error) {
	c.end = number
	m := callEnd.FindStringSubmatchIndex(c.line)
	if m == nil {
		if strings.HasSuffix(c.line, unfinished+") = ?") || strings.HasSuffix(c.line, "= ?") {
			c.failed = true // killed within it
			return c, nil
		}
		return nil, fmt.Errorf("no end of a call: %.200q", c.line)
	}
	result := c.line[m[2]:m[3]]
	if result == "?" {
		c.failed = c.name != "exit_group"
	} else {
		n, err := strconv.ParseInt(result, 0, 64)
		if err != nil {
			return nil, err
		}
		c.result, c.failed = n, n < 0
	}
	c.args = splitArgs(c.line[len(c.name)+1 : m[0]])
	return c, nil
}

// splitArgs cuts at the commas that are in no bracket. Everything that comes
// from programs is hexadecimal and holds neither.
func splitArgs(s string) []string {
	var args []string
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth == 0 {
				args = append(args, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	return append(args, strings.TrimSpace(s[start:]))
}

// unhex decodes \xHH\xHH...
func unhex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		return ""
	}
	return string(b)
}

// file is a descriptor with the name of what it is open on.
type file struct {
	name    string
	deleted bool
}

var fileArg = regexp.MustCompile(`^(?:AT_FDCWD|-?\d+)(?:<((?:\\x[0-9a-f]{2})*)>)?(\(deleted\))?$`)

func fileOf(arg string) file {
	m := fileArg.FindStringSubmatch(arg)
	if m == nil {
		return file{}
	}
	return file{unhex(m[1]), m[2] != ""}
}

// text is a string argument.
func text(arg string) (string, error) {
	inner, ok := strings.CutPrefix(arg, `"`)
	if ok {
		inner, ok = strings.CutSuffix(inner, `"`)
	}
	if !ok {
		return "", fmt.Errorf("no whole string: %.100q", arg)
	}
	return unhex(inner), nil
}

var iovBase = regexp.MustCompile(`iov_base=("(?:\\x[0-9a-f]{2})*"(?:\.\.\.)?)`)

// vector is the bytes of an iovec argument, or of a message's.
func vector(arg string) (string, error) {
	var all strings.Builder
	for _, m := range iovBase.FindAllStringSubmatch(arg, -1) {
		s, err := text(m[1])
		if err != nil {
			return "", err
		}
		all.WriteString(s)
	}
	return all.String(), nil
}

func number(arg string) (int64, error) { return strconv.ParseInt(arg, 0, 64) }
