package report

import (
	"fmt"
	"strings"
)

// svg is a picture that grows element by element. Coordinates are whole
// pixels, so that equal results give equal bytes.
type svg struct {
	b             strings.Builder
	width, height int
}

func newSVG(width, height int, title string) *svg {
	s := &svg{width: width, height: height}
	fmt.Fprintf(&s.b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height, width, height)
	fmt.Fprintf(&s.b, "<title>%s</title>\n", escape(title))
	s.rect(0, 0, width, height, "#ffffff")
	s.text(width/2, 20, "middle", "#000000", title)
	return s
}

func (s *svg) rect(x, y, width, height int, colour string) {
	fmt.Fprintf(&s.b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n", x, y, width, height, colour)
}

func (s *svg) line(x1, y1, x2, y2 int, colour string) {
	fmt.Fprintf(&s.b, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"%s\"/>\n", x1, y1, x2, y2, colour)
}

func (s *svg) circle(x, y, radius int, colour string) {
	fmt.Fprintf(&s.b, "<circle cx=\"%d\" cy=\"%d\" r=\"%d\" fill=\"%s\"/>\n", x, y, radius, colour)
}

// text writes text at a base line; anchor is start, middle or end.
func (s *svg) text(x, y int, anchor, colour, text string) {
	fmt.Fprintf(&s.b, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n", x, y, anchor, colour, escape(text))
}

func (s *svg) String() string { return s.b.String() + "</svg>\n" }

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// colours tell mail systems apart, also without colour vision.
func colours() []string { return []string{"#0b5394", "#e69f00", "#009e73", "#cc79a7", "#999999"} }

const (
	gridColour = "#dddddd"
	textColour = "#444444"
)
