package report

import (
	"fmt"
	"math"
	"strings"
)

// Curve is how one number depends on another.
type Curve struct {
	Title  string
	X, Y   string // what the axes are
	Points []Point
}

// Point is one place of a curve.
type Point struct {
	X, Y float64
	Name string // of X, as the axis shows it
}

const (
	lineWidth  = 640
	lineHeight = 320
	lineLeft   = 70
	lineRight  = 30
	lineTop    = 40
	lineBottom = 60
)

// Line draws the curve: x logarithmic, since it goes over decades (0 is put
// one step before the first), y from 0.
func Line(c Curve) string {
	s := newSVG(lineWidth, lineHeight, c.Title)
	most := 0.0
	for _, p := range c.Points {
		most = max(most, p.Y)
	}
	step := niceStep(most)
	top := step * math.Ceil(max(most, step)/step)
	y := func(v float64) int {
		return lineHeight - lineBottom - int(math.Round(v/top*(lineHeight-lineTop-lineBottom)))
	}
	for v := 0.0; v <= top+step/2; v += step {
		s.line(lineLeft, y(v), lineWidth-lineRight, y(v), gridColour)
		s.text(lineLeft-6, y(v)+4, "end", textColour, fmt.Sprintf("%g", v))
	}
	s.text(lineWidth/2, lineHeight-12, "middle", "#000000", c.X)
	s.text(lineLeft-40, lineTop-16, "start", "#000000", c.Y)
	places := placesX(c.Points)
	var path []string
	for i, p := range c.Points {
		path = append(path, fmt.Sprintf("%d,%d", places[i], y(p.Y)))
		s.text(places[i], lineHeight-lineBottom+18, "middle", textColour, p.Name)
	}
	fmt.Fprintf(&s.b, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", strings.Join(path, " "), colours()[0])
	for i, p := range c.Points {
		s.circle(places[i], y(p.Y), 4, colours()[0])
	}
	return s.String()
}

// placesX spreads the points over the width by the logarithm of x.
func placesX(points []Point) []int {
	logs := make([]float64, len(points))
	for i, p := range points {
		logs[i] = math.Log10(p.X)
	}
	if len(points) > 1 && points[0].X == 0 {
		logs[0] = logs[1] - 1
	}
	span := logs[len(logs)-1] - logs[0]
	places := make([]int, len(points))
	for i, l := range logs {
		share := 0.5
		if span > 0 {
			share = (l - logs[0]) / span
		}
		places[i] = lineLeft + 10 + int(math.Round(share*(lineWidth-lineLeft-lineRight-20)))
	}
	return places
}

// niceStep returns 1, 2 or 5 times a power of ten, so that some five steps
// reach most.
func niceStep(most float64) float64 {
	if most <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most/5)))
	for _, times := range []float64{1, 2, 5} {
		if most/5 <= times*power {
			return times * power
		}
	}
	return 10 * power
}
