package account

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Process is one process and the memory it has for itself plus its share of
// what it shares with others (PSS), in bytes.
type Process struct {
	Name string
	PSS  int64
}

// Memory returns the processes of the group, the largest first. Those that
// end meanwhile are left out.
func (g *Group) Memory() ([]Process, error) {
	pids, err := g.PIDs()
	if err != nil {
		return nil, err
	}
	var list []Process
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d", pid)
		text, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
		if err != nil {
			continue // it has ended
		}
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		if err != nil {
			continue
		}
		list = append(list, Process{filepath.Base(strings.TrimSuffix(exe, " (deleted)")), pssOf(string(text))})
	}
	slices.SortStableFunc(list, func(a, b Process) int { return int(b.PSS - a.PSS) })
	return list, nil
}

func pssOf(rollup string) int64 {
	for line := range strings.Lines(rollup) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "Pss:" {
			kilobytes, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil {
				return kilobytes << 10
			}
		}
	}
	return 0
}

// Total returns the memory of all.
func Total(list []Process) int64 {
	var sum int64
	for _, p := range list {
		sum += p.PSS
	}
	return sum
}

// Peak watches the memory of a group. Looking costs time, so the interval is
// not short, and what it sees is at most the peak.
type Peak struct {
	stop chan struct{}
	most chan int64
}

// Watch begins to watch.
func (g *Group) Watch(interval time.Duration) *Peak {
	p := &Peak{make(chan struct{}), make(chan int64, 1)}
	go func() {
		ticks := time.NewTicker(interval)
		defer ticks.Stop()
		most := int64(0)
		for {
			if list, err := g.Memory(); err == nil {
				most = max(most, Total(list))
			}
			select {
			case <-p.stop:
				p.most <- most
				return
			case <-ticks.C:
			}
		}
	}()
	return p
}

// End returns the most memory that was seen.
func (p *Peak) End() int64 {
	close(p.stop)
	return <-p.most
}
