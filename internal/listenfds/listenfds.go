// Package listenfds reads what whoever started qmail-start, as systemd does,
// says of the listening sockets that it has opened (sd_listen_fds(3)).
//
// Whoever may import it: it holds no more than words, since programs that must
// start fast have it by way of internal/priv.
package listenfds

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// First is the descriptor of the first socket.
	First = 3
	most  = 256
)

// Count returns how many sockets the environment speaks of, from
// descriptor First on, if they are for the process with a number.
func Count(environ []string, pid int) (int, error) {
	if variable(environ, "LISTEN_PID") != strconv.Itoa(pid) {
		return 0, nil
	}
	count, err := strconv.Atoi(variable(environ, "LISTEN_FDS"))
	if err != nil || count < 0 || count > most {
		return 0, fmt.Errorf("LISTEN_FDS is %q, not a number of sockets up to %d", variable(environ, "LISTEN_FDS"), most)
	}
	return count, nil
}

// Strip returns an environment without what it says of sockets.
func Strip(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		return strings.HasPrefix(v, "LISTEN_PID=") || strings.HasPrefix(v, "LISTEN_FDS=") || strings.HasPrefix(v, "LISTEN_FDNAMES=")
	})
}

func variable(environ []string, name string) string {
	for _, v := range environ {
		if value, found := strings.CutPrefix(v, name+"="); found {
			return value
		}
	}
	return ""
}
