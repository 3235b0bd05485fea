package imports

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/priv"
	"postrider/internal/sandbox"
)

// TestSecurityPageHasTheTable holds the rows of docs/security.md to
// internal/priv.
func TestSecurityPageHasTheTable(t *testing.T) {
	t.Parallel()
	page := securityPage(t)
	for _, role := range priv.Roles() {
		if row := securityRow(role); !strings.Contains(page, row+"\n") {
			t.Errorf("docs/security.md has no row\n%s", row)
		}
	}
}

func securityPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// securityRow is how a role stands in the page.
func securityRow(r priv.Role) string {
	caps := map[uintptr]string{unix.CAP_SETUID: "SETUID", unix.CAP_SETGID: "SETGID", unix.CAP_SETPCAP: "SETPCAP",
		unix.CAP_KILL: "KILL", unix.CAP_NET_BIND_SERVICE: "NET_BIND_SERVICE"}
	var held, files, calls []string
	for _, c := range r.Caps {
		held = append(held, caps[c])
	}
	for _, f := range r.Files {
		files = append(files, "`"+f.Path+"` "+accessLetters(f.Access))
	}
	for _, c := range []struct {
		bit  priv.Calls
		name string
	}{{priv.ChangeFiles, "change files"}, {priv.WatchFiles, "watch files"}, {priv.MakeMessages, "memfd"},
		{priv.AskKernel, "netlink"}, {priv.Internet, "TCP and UDP out"}} {
		if r.Calls&c.bit != 0 {
			calls = append(calls, c.name)
		}
	}
	user := r.User + ":" + r.Group
	if r.User == "" {
		user = "the recipient"
	}
	if r.Confined {
		calls = append([]string{"plain"}, calls...)
	} else {
		files, calls = []string{"what its user may"}, []string{"all"}
		if slices.Contains([]string{"qmail-lspawn", "qmail-local", "qmail-checkpass", "qmail-filter", "qmail-nss", "qmail-rspawn"}, r.Program) {
			calls = []string{"all, but to become one of the suite or root"}
		}
	}
	or := func(list []string) string {
		if len(list) == 0 {
			return "none"
		}
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |", r.Program, user, or(held), or(files), or(calls))
}

func accessLetters(a sandbox.Access) (letters string) {
	for _, c := range []struct {
		bit    sandbox.Access
		letter string
	}{{sandbox.Read, "r"}, {sandbox.List, "l"}, {sandbox.Write, "w"}, {sandbox.Create, "c"}, {sandbox.Remove, "x"},
		{sandbox.Move, "m"}, {sandbox.MakeDir, "d"}} {
		if a&c.bit != 0 {
			letters += c.letter
		}
	}
	return letters
}

// sizeRow is a program with the number of our lines in it.
var sizeRow = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([0-9]+) \\|")

// TestTrustedCodeIsCounted holds the sizes of docs/security.md to the source,
// to a quarter: they are there to be compared, not to be exact.
func TestTrustedCodeIsCounted(t *testing.T) {
	t.Parallel()
	linked := linkedByAll(t)
	rows := sizeRow.FindAllStringSubmatch(securityPage(t), -1)
	if len(rows) < 6 {
		t.Errorf("docs/security.md counts %d programs", len(rows))
	}
	for _, row := range rows {
		told, err := strconv.Atoi(row[2])
		if err != nil {
			t.Fatal(err)
		}
		lines := linesOf(t, "cmd/"+row[1])
		for _, p := range linked[row[1]] {
			if dir, ours := own(p); ours {
				lines += linesOf(t, dir)
			}
		}
		if lines*4 < told*3 || lines*4 > told*5 {
			t.Errorf("docs/security.md: %s has %d lines, but the page says %d", row[1], lines, told)
		}
	}
}

// linesOf counts the lines of a package that are neither tests nor empty nor
// comments alone.
func linesOf(t *testing.T, dir string) (lines int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
				lines++
			}
		}
	}
	return lines
}
