package top

import (
	"strings"

	"postrider/internal/legible"
)

// style is how a cell stands out. None is needed to understand what it says.
type style byte

const (
	plain style = iota
	faint
	strong
	alarming // what wants to be looked at
	title    // the first line and the last one
)

// cell is one place of the screen.
type cell struct {
	r rune
	s style
}

// canvas is a screen. What does not fit on it is cut off.
type canvas struct {
	width, height int
	cells         []cell
}

func newCanvas(width, height int) *canvas {
	c := &canvas{width, height, make([]cell, width*height)}
	for i := range c.cells {
		c.cells[i].r = ' '
	}
	return c
}

// put writes text, of which nothing but printable ASCII gets onto the screen.
func (c *canvas) put(x, y int, s style, text string) {
	for i, r := range []rune(legible.ASCII(text)) {
		c.set(x+i, y, cell{r, s})
	}
}

func (c *canvas) set(x, y int, what cell) {
	if x >= 0 && x < c.width && y >= 0 && y < c.height {
		c.cells[y*c.width+x] = what
	}
}

// fill gives a whole line a style.
func (c *canvas) fill(y int, s style) {
	for x := range c.width {
		c.set(x, y, cell{' ', s})
	}
}

// rule draws a line with a name in it from x on.
func (c *canvas) rule(x, y, width int, name string) {
	for i := range width {
		c.set(x+i, y, cell{'─', faint})
	}
	if name != "" {
		c.put(x+1, y, strong, " "+cut(name, width-4)+" ")
	}
}

// over writes the words over columns into a line that is there.
func (c *canvas) over(x, y int, titles string) {
	words := strings.TrimLeft(titles, " ")
	x += len(titles) - len(words) - 1
	c.put(x, y, strong, " "+cut(words, c.width-x-3)+" ")
}

// String is the screen as text, without styles and blanks at the ends of lines.
func (c *canvas) String() string {
	var b strings.Builder
	for y := range c.height {
		line := make([]rune, c.width)
		for x := range line {
			line[x] = c.cells[y*c.width+x].r
		}
		b.WriteString(strings.TrimRight(string(line), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// row is a line of a block, in pieces of one style each.
type row []piece

type piece struct {
	s    style
	text string
}

func text(s string) row { return row{{plain, s}} }

// and appends a piece.
func (r row) and(s style, text string) row { return append(r, piece{s, text}) }

// rows writes lines into a part of the screen.
func (c *canvas) rows(x, y, width, height int, all []row) {
	for i, r := range all[:min(height, len(all))] {
		at := 0
		for _, p := range r {
			c.put(x+at, y+i, p.s, cut(p.text, width-at))
			at += len(p.text)
		}
	}
}
