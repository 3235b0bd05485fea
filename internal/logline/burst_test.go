package logline

import (
	"bufio"
	"strings"
	"testing"
)

// A sink that pauses while a megabyte of lines is logged costs status lines
// and no other.
func TestPauseCostsNoLine(t *testing.T) {
	r, wf := pipe(t)
	w := NewWriter(wf)
	const n = 10000
	line := "delivery 1: success: " + strings.Repeat("x", 80)
	for range n {
		w.Line(line)
		w.Status("status: local 1/10 remote 0/20")
	}
	lines := bufio.NewScanner(r)
	for got := 0; got < n; {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		if lines.Text() == line {
			got++
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost != w.lostStatus || w.lost == 0 {
		t.Errorf("%d lines lost of which %d are status lines", w.lost, w.lostStatus)
	}
}
