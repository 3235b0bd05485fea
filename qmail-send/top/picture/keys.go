package picture

import (
	"postrider/qmail-send/top/logtail"
)

// Key is a key that means something.
type Key byte

const (
	KeyUp Key = iota + 1
	KeyDown
	KeyPageUp
	KeyPageDown
	KeyHome
	KeyEnd
	KeyEscape
)

// page is how far a page goes: less than the smallest usual screen.
const page = 15

// Press changes what is shown as a letter says, and reports whether to quit.
func (v *View) Press(letter rune) (quit bool) {
	switch letter {
	case 'q', 'Q':
		return true
	case '0':
		v.choose(overview)
	case '1', '2', '3', '4', '5', '6':
		v.choose(queueBlock + block(letter-'1'))
	case '?', 'h':
		v.choose(helpBlock)
	case 'n':
		v.choose(noteBlock)
	case 'o':
		v.order = (v.order + 1) % orderCount
	case 'f':
		v.filter = (v.filter + 1) % logtail.FilterCount
		v.scroll = 0
	case 'p', ' ':
		v.Paused = !v.Paused
	case 'k':
		v.Move(KeyUp)
	case 'j':
		v.Move(KeyDown)
	}
	return false
}

// choose shows one block alone, or all if that is shown already.
func (v *View) choose(b block) {
	if v.block == b {
		b = overview
	}
	v.block, v.scroll = b, 0
}

// maxScroll is more lines than any block has.
const maxScroll = 100_000

// Move scrolls. The log has its newest line at the end, and begins there.
func (v *View) Move(k Key) {
	step := map[Key]int{KeyUp: -1, KeyDown: 1, KeyPageUp: -page, KeyPageDown: page, KeyHome: -maxScroll, KeyEnd: maxScroll}[k]
	if v.block == logBlock {
		step = -step
	}
	v.scroll = max(0, min(v.scroll+step, maxScroll))
	if k == KeyEscape {
		v.block, v.scroll = overview, 0
	}
}
