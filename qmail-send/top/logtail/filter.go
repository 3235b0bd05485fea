package logtail

// Filter is which lines of the log are shown.
type Filter byte

// The filters, in the order in which a key goes through them.
const (
	EveryLine Filter = iota
	Troubles
	Warnings
	FilterCount // how many there are
)

// FilterNames says it in words.
var FilterNames = map[Filter]string{EveryLine: "all lines", Troubles: "failures, deferrals and warnings", Warnings: "warnings"}

// passes reports whether a line is shown.
func (f Filter) passes(e Event) bool {
	switch f {
	case Troubles:
		return e.Grave != Usual
	case Warnings:
		return e.Grave == Warning
	}
	return true
}
