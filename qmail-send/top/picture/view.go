package picture

import (
	"fmt"
	"strings"

	"postrider/qmail-send/top/logtail"
	"postrider/qmail-send/top/wording"
)

// block is a part of the screen that can have it alone.
type block byte

const (
	overview block = iota
	queueBlock
	sessionBlock
	channelBlock
	processBlock
	destinationBlock
	logBlock
	noteBlock
	helpBlock
)

// View is what whoever looks at it has chosen.
type View struct {
	block  block
	order  order
	filter logtail.Filter
	scroll int // lines of a block that has the screen alone; in the log, backwards
	Paused bool
}

// The sizes from which there is room for more.
const (
	smallWidth  = 76
	smallHeight = 20
	wideWidth   = 120
	manyLines   = 36
)

// Draw is the screen. It depends on nothing else.
func Draw(m *Model, v View, width, height int) *Canvas {
	c := newCanvas(max(1, width), max(1, height))
	m.drawTitle(c, v)
	m.drawNotes(c)
	body := area{0, 2, c.width, max(0, c.Height-3)}
	switch {
	case v.block != overview:
		m.drawAlone(c, v, body)
	case c.width < smallWidth || c.Height < smallHeight:
		m.drawSmall(c, v, body)
	default:
		m.drawAll(c, v, body)
	}
	drawKeys(c, v)
	return c
}

// area is a part of the screen.
type area struct{ x, y, width, height int }

func (m *Model) drawTitle(c *Canvas, v View) {
	c.Fill(0, Title)
	left := " " + m.host
	if up, known := m.uptime(); known {
		left += "  up " + wording.Long(up)
	}
	if up, down := m.processes(); up+down > 0 && c.width >= smallWidth {
		left += "  " + wording.Plural(float64(up), "process", "processes")
		if down > 0 {
			left += fmt.Sprintf(", %d down", down)
		}
	}
	form := "2006-01-02 15:04:05 UTC"
	if c.width < smallWidth {
		form = "15:04:05"
	}
	right := m.Now.UTC().Format(form) + " "
	if v.Paused {
		right = "PAUSED  " + right
	}
	c.put(0, 0, Title, wording.Cut(left, c.width-len(right)-1))
	c.put(c.width-len(right), 0, Title, right)
}

// drawNotes writes the worst of what should be known, and how much more there is.
func (m *Model) drawNotes(c *Canvas) {
	notes := m.notes()
	if len(notes) == 0 {
		c.put(1, 1, Faint, "nothing to worry about")
		return
	}
	mark, more := "", ""
	if notes[0].s == Alarming {
		mark = "! "
	}
	words := []string{notes[0].text}
	for i, n := range notes[1:] {
		next := append(words, n.text)
		if len(mark+strings.Join(next, "; ")) > c.width-16 {
			more = fmt.Sprintf(" (+%d more: n)", len(notes)-1-i)
			break
		}
		words = next
	}
	c.put(1, 1, notes[0].s, wording.Cut(mark+strings.Join(words, "; "), c.width-2-len(more))+more)
}

// noteRows are all of them.
func (m *Model) noteRows() (all []row) {
	for _, n := range m.notes() {
		mark := "   "
		if n.s == Alarming {
			mark = " ! "
		}
		all = append(all, row{{n.s, mark + n.text}})
	}
	if len(all) == 0 {
		return []row{text(" nothing to worry about")}
	}
	return all
}

// drawAll draws all blocks.
func (m *Model) drawAll(c *Canvas, v View, a area) {
	top := 5
	if a.height >= manyLines {
		top = 9
	}
	if a.height >= manyLines+14 {
		top = 13
	}
	columns := []struct {
		name string
		rows func(width int) []row
	}{{"1 queue", func(width int) []row { return append(m.queueRows(width), m.queueDetails()...) }}, {"2 sessions", m.sessionRows}}
	if a.width >= wideWidth {
		columns = append(columns, struct {
			name string
			rows func(width int) []row
		}{"4 processes", func(int) []row { return m.processRows() }})
	}
	for i, col := range columns {
		x, end := a.width*i/len(columns), a.width*(i+1)/len(columns)
		if i > 0 {
			x++
		}
		c.rule(x, a.y, end-x, col.name)
		c.rows(x, a.y+1, end-x, top, col.rows(end-x))
	}
	y := a.y + 1 + top
	channels := m.channelRows(a.width)
	c.rule(0, y, a.width, "3 channels")
	c.over(0, y, channelTitle(a.width))
	c.rows(0, y+1, a.width, len(channels), channels)
	y += 1 + len(channels)

	left := a.y + a.height - y - 2
	destinations := m.destinationRows(a.width, v.order)
	n := min(max(left*2/5, 2), max(len(destinations), 2))
	m.drawDestinations(c, v, area{0, y, a.width, n + 1}, destinations)
	m.drawLog(c, v, area{0, y + n + 1, a.width, left - n + 1})
}

func (m *Model) drawDestinations(c *Canvas, v View, a area, rows []row) {
	c.rule(a.x, a.y, a.width, destinationName(v.order))
	c.over(a.x, a.y, destinationTitle(a.width, v.order))
	c.rows(a.x, a.y+1, a.width, a.height-1, rows)
}

// destinationName is in capitals if names are what they are sorted by.
func destinationName(by order) string {
	if by == byName {
		return "5 DESTINATIONS"
	}
	return "5 destinations"
}

func (m *Model) drawLog(c *Canvas, v View, a area) {
	c.rule(a.x, a.y, a.width, "6 log: "+logtail.FilterNames[v.filter])
	rows := m.logRows(v.filter)
	c.rows(a.x, a.y+1, a.width, a.height-1, rows[max(0, len(rows)-(a.height-1)):])
}

// drawSmall says the most important in few short lines.
func (m *Model) drawSmall(c *Canvas, v View, a area) {
	var all []row
	if q := m.queue(); q.known {
		words := " queue " + wording.Short(q.total)
		if q.total > 0 {
			words += " oldest " + wording.Brief(q.oldest)
		}
		if in, out, known := m.history.Flow(); known {
			words += fmt.Sprintf(" in %s out %s", wording.PerSecond(in), wording.PerSecond(out))
		}
		all = append(all, text(words))
	}
	for _, ch := range m.channels() {
		running := ""
		if ch.running >= 0 {
			running = wording.Short(ch.running) + "/" + wording.Short(ch.limit)
		}
		all = append(all, text(fmt.Sprintf(" %-6s %s ok %s def %s fail %s", ch.name, running,
			bare(ch.success), bare(ch.deferred), bare(ch.failed))))
	}
	if r, some := m.history.Last(); some {
		now, _ := r.Value("smtp_sessions", "")
		limit, _ := r.Value("smtp_sessions_limit", "")
		refused, known := m.history.RateOfAll("smtp_refusals_total")
		if !known {
			refused = -1
		}
		all = append(all, text(fmt.Sprintf(" smtp   %s new %s refused %s", wording.Short(now)+"/"+wording.Short(limit),
			rateWord(m.count("smtp_sessions_total", "").perSecond), rateWord(refused))))
	}
	for _, d := range m.sorted(v.order)[:min(len(m.sorted(v.order)), max(0, a.height-len(all)-1)/2)] {
		all = append(all, text(fmt.Sprintf(" %-6s %5s %s", standings[d.Standing], wording.Short(float64(d.Waiting)), d.Name)))
	}
	n := min(len(all), a.height)
	c.rows(0, a.y, a.width, n, all)
	if a.height > n+1 {
		m.drawLog(c, v, area{0, a.y + n, a.width, a.height - n})
	}
}

// alone returns the name and the lines of a block that has the screen alone.
func (m *Model) alone(v View, width int) (name string, rows []row) {
	switch v.block {
	case queueBlock:
		return "1 queue", append(append(m.queueRows(width), m.pastRows(width)...), m.queueDetails()...)
	case sessionBlock:
		return "2 sessions", m.sessionRows(width)
	case channelBlock:
		return "3 channels", m.channelDetails(width)
	case processBlock:
		return "4 processes", m.processRows()
	case destinationBlock:
		return destinationName(v.order), m.destinationRows(width, v.order)
	case logBlock:
		return "6 log: " + logtail.FilterNames[v.filter], m.logRows(v.filter)
	case noteBlock:
		return "notes", m.noteRows()
	}
	return "keys", helpRows()
}

// bare is a rate without its unit.
func bare(c count) string { return strings.TrimSuffix(rateWord(c.perSecond), "/s") }

// drawAlone gives one block all the room.
func (m *Model) drawAlone(c *Canvas, v View, a area) {
	name, rows := m.alone(v, a.width)
	room := max(0, a.height-1)
	first := scrolled(v, len(rows), room)
	if len(rows) > room {
		name += fmt.Sprintf(", %d-%d of %d", first+1, min(first+room, len(rows)), len(rows))
	}
	c.rule(a.x, a.y, a.width, name)
	switch v.block {
	case channelBlock:
		c.over(a.x, a.y, channelTitle(a.width))
	case destinationBlock:
		c.over(a.x, a.y, destinationTitle(a.width, v.order))
	}
	c.rows(a.x, a.y+1, a.width, room, rows[first:])
}

// scrolled returns the first line to show. The log begins at its end.
func scrolled(v View, lines, room int) int {
	last := max(0, lines-room)
	if v.block == logBlock {
		return max(0, last-v.scroll)
	}
	return min(last, v.scroll)
}

// Clamp ends scrolling where the lines end.
func (m *Model) Clamp(v *View, width, height int) {
	if v.scroll > 0 {
		_, rows := m.alone(*v, width)
		v.scroll = min(v.scroll, max(0, len(rows)-max(0, height-4)))
	}
}

// pastHeight is how many lines a picture of rates has.
const pastHeight = 4

// pastRows are pictures of what came in and went out, the newest at the right.
func (m *Model) pastRows(width int) (all []row) {
	room := min(width-10, len(m.past))
	if room < 10 {
		return nil
	}
	past := m.past[len(m.past)-room:]
	for _, p := range []struct {
		name string
		of   func(flow) float64
	}{{"in", func(f flow) float64 { return f.in }}, {"out", func(f flow) float64 { return f.out }}} {
		most := 0.0
		for _, f := range past {
			most = max(most, p.of(f))
		}
		all = append(all, text(""), text(fmt.Sprintf(" %s, a column a second, up to %s/s", p.name, wording.PerSecond(most))))
		for line := pastHeight; line > 0; line-- {
			var b strings.Builder
			for _, f := range past {
				if share := p.of(f) / max(most, 1e-9) * pastHeight; share > float64(line)-0.5 {
					b.WriteByte('|')
				} else {
					b.WriteByte(' ')
				}
			}
			all = append(all, text("  "+b.String()))
		}
	}
	return all
}

// drawKeys says what keys do.
func drawKeys(c *Canvas, v View) {
	y := c.Height - 1
	c.Fill(y, Title)
	words := " q quit  1-6 one block  o order  f log lines  p pause  n notes  ? help"
	switch {
	case v.block == helpBlock:
		words = " q quit  0 all blocks"
	case v.block != overview:
		words = " q quit  0 all blocks  1-6 one block  o order  f log lines  p pause  up/down"
	}
	if c.width < smallWidth {
		words = " q quit 1-6 block o order f log ? help"
		if v.block != overview {
			words = " q quit 0 all up/down"
		}
	}
	c.put(0, y, Title, words)
}

func helpRows() []row {
	var all []row
	for _, line := range []string{
		"q, Ctrl-C       quit",
		"0, Esc          all blocks",
		"1 ... 6         one block: queue, sessions, channels, processes,",
		"                destinations, log; the same key again: all blocks",
		"o               order destinations by waiting, state, in use, name",
		"f               lines of the log: all, failures and deferrals, warnings",
		"p, space        pause, and go on",
		"n               all notes, of which the second line has the worst",
		"up, down, k, j  a line up or down in a block that has the screen alone",
		"PgUp, PgDn      a page; Home, End: to its beginning and end",
		"Ctrl-L          draw anew",
		"",
		"Rates are of the last 10 seconds, latencies of the last minute. Times are UTC.",
		"A note with ! in front wants to be looked at.",
		"Of destinations: state, messages that wait, connections in use and allowed now,",
		"how long that state lasts, when the next may go, the hosts, what they said.",
	} {
		all = append(all, text(" "+line))
	}
	return all
}
