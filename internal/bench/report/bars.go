package report

import (
	"fmt"
	"math"
)

const (
	barHeight  = 9
	barGap     = 14 // between rows
	barLeft    = 270
	barRight   = 60
	barTop     = 70
	barWidth   = 820
	mostRatio  = 20 // what is better or worse than that is cut
	leastRatio = 1.0 / mostRatio
)

// Bars draws for each row how many times as good each mail system is as base,
// on a logarithmic scale: a bar to the right is better, to the left worse.
// Rows that base has no value in are left out.
func Bars(res *Results, rows []Row, base string) string {
	var shown []Row
	for _, row := range rows {
		if v, measured := res.Median(base, row.Key); measured && v > 0 {
			shown = append(shown, row)
		}
	}
	rowHeight := len(res.Systems)*barHeight + barGap
	s := newSVG(barWidth, barTop+len(shown)*rowHeight+20, fmt.Sprintf("How many times as good as %s (right is better; logarithmic)", base))
	for i, system := range res.Systems {
		x := 20 + i*158
		s.rect(x, 32, 12, 12, colours()[i%len(colours())])
		s.text(x+18, 42, "start", textColour, system)
	}
	for _, ratio := range []float64{0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20} {
		x := ratioX(ratio)
		s.line(x, barTop-6, x, s.height-14, gridColour)
		s.text(x, barTop-10, "middle", textColour, fmt.Sprintf("%g", ratio))
	}
	for i, row := range shown {
		s.barsOf(res, row, base, barTop+i*rowHeight)
	}
	s.line(ratioX(1), barTop-6, ratioX(1), s.height-14, textColour)
	return s.String()
}

func (s *svg) barsOf(res *Results, row Row, base string, y int) {
	s.text(barLeft-10, y+len(res.Systems)*barHeight/2+4, "end", "#000000", row.Title+", "+row.Unit)
	theirs, _ := res.Median(base, row.Key)
	for i, system := range res.Systems {
		v, measured := res.Median(system, row.Key)
		top := y + i*barHeight
		if !measured {
			s.text(ratioX(1)+4, top+barHeight-1, "start", textColour, "-")
			continue
		}
		ratio := row.ratio(v, theirs)
		from, to := ratioX(1), ratioX(ratio)
		s.rect(min(from, to), top, max(1, max(from, to)-min(from, to)), barHeight-1, colours()[i%len(colours())])
		if i == 0 { // ours
			s.text(max(from, to)+4, top+barHeight-1, "start", "#000000", Number(ratio))
		}
	}
}

// ratioX is where a ratio is on the scale.
func ratioX(ratio float64) int {
	ratio = min(max(ratio, leastRatio), mostRatio)
	share := math.Log(ratio/leastRatio) / math.Log(mostRatio/leastRatio)
	return barLeft + int(math.Round(share*(barWidth-barLeft-barRight)))
}
