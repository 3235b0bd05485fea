package picture

import (
	"strings"

	"postrider/internal/legible"
	"postrider/qmail-send/top/wording"
)

// Style is how a cell stands out. None is needed to understand what it says.
type Style byte

const (
	Plain Style = iota
	Faint
	Strong
	Alarming // what wants to be looked at
	Title    // the first line and the last one
)

// Cell is one place of the screen.
type Cell struct {
	R rune
	S Style
}

// Canvas is a screen. What does not fit on it is cut off.
type Canvas struct {
	width, Height int
	Cells         []Cell
}

func newCanvas(width, height int) *Canvas {
	c := &Canvas{width, height, make([]Cell, width*height)}
	for i := range c.Cells {
		c.Cells[i].R = ' '
	}
	return c
}

// put writes text, of which nothing but printable ASCII gets onto the screen.
func (c *Canvas) put(x, y int, s Style, text string) {
	for i, r := range []rune(legible.ASCII(text)) {
		c.set(x+i, y, Cell{r, s})
	}
}

func (c *Canvas) set(x, y int, what Cell) {
	if x >= 0 && x < c.width && y >= 0 && y < c.Height {
		c.Cells[y*c.width+x] = what
	}
}

// Fill gives a whole line a style.
func (c *Canvas) Fill(y int, s Style) {
	for x := range c.width {
		c.set(x, y, Cell{' ', s})
	}
}

// rule draws a line with a name in it from x on.
func (c *Canvas) rule(x, y, width int, name string) {
	for i := range width {
		c.set(x+i, y, Cell{'─', Faint})
	}
	if name != "" {
		c.put(x+1, y, Strong, " "+wording.Cut(name, width-4)+" ")
	}
}

// over writes the words over columns into a line that is there.
func (c *Canvas) over(x, y int, titles string) {
	words := strings.TrimLeft(titles, " ")
	x += len(titles) - len(words) - 1
	c.put(x, y, Strong, " "+wording.Cut(words, c.width-x-3)+" ")
}

// String is the screen as text, without styles and blanks at the ends of lines.
func (c *Canvas) String() string {
	var b strings.Builder
	for y := range c.Height {
		line := make([]rune, c.width)
		for x := range line {
			line[x] = c.Cells[y*c.width+x].R
		}
		b.WriteString(strings.TrimRight(string(line), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// row is a line of a block, in pieces of one style each.
type row []piece

type piece struct {
	s    Style
	text string
}

func text(s string) row { return row{{Plain, s}} }

// and appends a piece.
func (r row) and(s Style, text string) row { return append(r, piece{s, text}) }

// rows writes lines into a part of the screen.
func (c *Canvas) rows(x, y, width, height int, all []row) {
	for i, r := range all[:min(height, len(all))] {
		at := 0
		for _, p := range r {
			c.put(x+at, y+i, p.s, wording.Cut(p.text, width-at))
			at += len(p.text)
		}
	}
}
