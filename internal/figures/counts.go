package figures

import (
	"os"
	"slices"
	"sync/atomic"
)

// Counts is where a process counts. The zero Counts, and nil, forget what they
// are told until an area is taken: programs that nobody gives one work alike.
type Counts struct {
	words atomic.Pointer[[]uint64]
}

// Take counts into an area from now on, and closes its file. An area of another
// layout is left alone.
func (c *Counts) Take(layout string, f *os.File) error {
	defer f.Close() // the memory stays
	return c.Use(layout, f)
}

// Use is Take for who keeps the file. The area is this process's alone.
func (c *Counts) Use(layout string, f *os.File) error {
	if layout != here.sum {
		return nil // a release beside ours: its reader does not know our rows
	}
	words, err := mapArea(f, true)
	if err != nil {
		return err
	}
	for id, row := range here.rows {
		if row.Kind == Gauge || row.Kind == Optional {
			for i := range row.Series {
				atomic.StoreUint64(&words[here.first[id]+i], 0)
			}
		}
	}
	c.words.Store(&words)
	return nil
}

// Taken tells whether anything is counted.
func (c *Counts) Taken() bool { return c != nil && c.words.Load() != nil }

// cell returns a word of a row, or nil.
func (c *Counts) cell(id ID, offset int) *uint64 {
	if c == nil {
		return nil
	}
	words := c.words.Load()
	if words == nil || offset < 0 || here.first[id]+offset >= here.live {
		return nil
	}
	return &(*words)[here.first[id]+offset]
}

// Add adds n to a counter, or to a gauge, in which n may stand for a negative
// number. series is the place in the row's Series.
func (c *Counts) Add(id ID, series int, n int) {
	if cell := c.cell(id, series); cell != nil {
		atomic.AddUint64(cell, uint64(n))
	}
}

// Set sets a gauge.
func (c *Counts) Set(id ID, series int, n int64) {
	cell := c.cell(id, series)
	if cell == nil {
		return
	}
	if here.rows[id].Kind == Optional {
		n++ // 0 is for those that nobody has set
	}
	atomic.StoreUint64(cell, uint64(n))
}

// Unset takes back that an optional gauge is known.
func (c *Counts) Unset(id ID, series int) {
	if cell := c.cell(id, series); cell != nil {
		atomic.StoreUint64(cell, 0)
	}
}

// Observe counts a value in a histogram, in the unit of its bounds. What is
// negative counts as 0.
func (c *Counts) Observe(id ID, series int, value int64) {
	n := uint64(max(0, value))
	bounds := here.rows[id].Bounds
	place := series * (len(bounds) + 2)
	bucket, _ := slices.BinarySearch(bounds, n)
	if cell := c.cell(id, place+bucket); cell != nil {
		atomic.AddUint64(cell, 1)
		atomic.AddUint64(c.cell(id, place+len(bounds)+1), n)
	}
}

// Live says in the area of qmail-start whether a process works in an area.
func (c *Counts) Live(area int, live bool) {
	if c == nil || area < 0 || area >= MaxAreas {
		return
	}
	words := c.words.Load()
	if words == nil {
		return
	}
	word := uint64(0)
	if live {
		word = 1
	}
	atomic.StoreUint64(&(*words)[here.live+area], word)
}
