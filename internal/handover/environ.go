package handover

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	variable = "QMAIL_START_HANDOVER="
	check    = "check"
	// CheckFD is the descriptor of the text for who is only asked.
	CheckFD = 3
	firstFD = 3
)

// Descriptors returns those that came through exec to the process pid, that of
// the text first; none if nothing was handed over. One who is asked whether it
// could go on has that of the text.
func Descriptors(environ []string, pid int) ([]int, error) {
	value := word(environ)
	if value == check {
		return []int{CheckFD}, nil
	}
	words := strings.Split(value, " ")
	if words[0] != strconv.Itoa(pid) {
		return nil, nil // of another process, or nothing
	}
	if len(words) < 2 || len(words) > 1+MaxFiles {
		return nil, fmt.Errorf("%s%.100q: no descriptors", variable, value)
	}
	var fds []int
	for _, w := range words[1:] {
		fd, err := strconv.ParseUint(w, 10, 31)
		if err != nil || fd < firstFD {
			return nil, fmt.Errorf("%s: %.20q is no descriptor", variable, w)
		}
		fds = append(fds, int(fd))
	}
	return fds, nil
}

// IsCheck reports whether the process is only asked whether it could go on.
func IsCheck(environ []string) bool { return word(environ) == check }

// With returns an environment that says to the process pid what it is handed.
func With(environ []string, pid int, fds []int) []string {
	value := strconv.Itoa(pid)
	for _, fd := range fds {
		value += " " + strconv.Itoa(fd)
	}
	return append(Strip(environ), variable+value)
}

// WithCheck returns an environment that asks.
func WithCheck(environ []string) []string { return append(Strip(environ), variable+check) }

// Strip returns an environment without what it says of a hand-over.
func Strip(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, variable) })
}

func word(environ []string) string {
	for _, v := range environ {
		if value, found := strings.CutPrefix(v, variable); found {
			return value
		}
	}
	return ""
}
