package scenario

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

// commandBlocks returns the indented blocks of a page.
func commandBlocks(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	inside := false
	for _, line := range strings.Split(string(text), "\n") {
		command, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && !inside:
			blocks = append(blocks, command+"\n")
		case indented:
			blocks[len(blocks)-1] += command + "\n"
		}
		inside = indented
	}
	return blocks
}

// TestProvidersPage runs the commands of docs/providers.md one after the other.
func TestProvidersPage(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example")
	h.StartSuite()
	blocks := commandBlocks(t, "../../docs/providers.md")
	if len(blocks) < 5 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, block := range blocks {
		if strings.Contains(block, "sendmail") {
			// The page speaks of it before.
			if err := h.Suite().Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-ec", block}})
		if err != nil || result.Code != 0 {
			t.Fatalf("%v, exit %d\n%s%s\nof\n%s", err, result.Code, result.Stdout, result.Stderr, block)
		}
	}
	if _, err := h.WaitForFiles(testhost.Within(t, soon), "/home/vmail/customer.example/joe/Maildir/new", func(names []string) bool { return len(names) == 1 }); err != nil {
		t.Errorf("%v\nlog:\n%s", err, h.Log().Timed(0))
	}
	for address, code := range map[string]int{"info@shop.example": 250, "nobody@shop.example": 550, "x@else.example": 553} {
		if got := rcptCode(t, session(t, h), address); got != code {
			t.Errorf("%s: RCPT is answered %d, want %d", address, got, code)
		}
	}
	h.StopSuite()
}
