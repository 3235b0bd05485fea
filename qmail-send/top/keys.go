package top

// key is a key that means something.
type key byte

const (
	keyUp key = iota + 1
	keyDown
	keyPageUp
	keyPageDown
	keyHome
	keyEnd
	keyEscape
)

// page is how far a page goes: less than the smallest usual screen.
const page = 15

// press changes what is shown as a letter says, and reports whether to quit.
func (v *view) press(letter rune) (quit bool) {
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
		v.filter = (v.filter + 1) % filterCount
		v.scroll = 0
	case 'p', ' ':
		v.paused = !v.paused
	case 'k':
		v.move(keyUp)
	case 'j':
		v.move(keyDown)
	}
	return false
}

// choose shows one block alone, or all if that is shown already.
func (v *view) choose(b block) {
	if v.block == b {
		b = overview
	}
	v.block, v.scroll = b, 0
}

// maxScroll is more lines than any block has.
const maxScroll = 100_000

// move scrolls. The log has its newest line at the end, and begins there.
func (v *view) move(k key) {
	step := map[key]int{keyUp: -1, keyDown: 1, keyPageUp: -page, keyPageDown: page, keyHome: -maxScroll, keyEnd: maxScroll}[k]
	if v.block == logBlock {
		step = -step
	}
	v.scroll = max(0, min(v.scroll+step, maxScroll))
	if k == keyEscape {
		v.block, v.scroll = overview, 0
	}
}
