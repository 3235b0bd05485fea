package header

import "postrider/internal/address"

// plainAddr reads what nearly every address is: words and single dots, at most
// one "@", no blank, quote, comment or bracket. It returns the position behind
// it, or ok false if the address at pos must be read by the whole grammar. The
// Addr holds parts of text, so this costs no allocation.
func plainAddr(text string, pos int) (a Addr, next int, ok bool) {
	local := dotAtomEnd(text, pos)
	if local == pos {
		return Addr{}, 0, false
	}
	if local == len(text) || text[local] != '@' {
		return Addr{Local: text[pos:local]}, local, local-pos <= address.MaxLen
	}
	next = dotAtomEnd(text, local+1)
	if next == local+1 || next < len(text) && text[next] == '@' {
		return Addr{}, 0, false
	}
	return Addr{text[pos:local], text[local+1 : next]}, next, next-pos <= address.MaxLen
}

// dotAtomEnd returns the position behind the words that begin at pos and are
// joined by single dots, or pos if there are none or a dot is left over.
func dotAtomEnd(text string, pos int) int {
	i := pos
	for ; i < len(text); i++ {
		if address.PlainByte(text[i]) {
			continue
		}
		if text[i] != '.' {
			break
		}
		if i == pos || i+1 == len(text) || !address.PlainByte(text[i+1]) {
			return pos
		}
	}
	return i
}

// plainItem reads a plain address with the blanks around it, and returns the
// position of what follows.
func plainItem(text string, pos int) (item Item, next int, ok bool) {
	for pos < len(text) && blank(text[pos]) {
		pos++
	}
	a, next, ok := plainAddr(text, pos)
	if !ok {
		return Item{}, 0, false
	}
	item = Item{Kind: Mailbox, Addr: a, At: pos, start: pos, phraseEnd: pos, addrEnd: next, end: next}
	for next < len(text) && blank(text[next]) {
		next++
	}
	return item, next, true
}

// plainWord reads a plain address that is followed by another word or a comma,
// or is the last of the text. It must be known to stand in no phrase.
func plainWord(text string, pos int) (item Item, ok bool) {
	item, next, ok := plainItem(text, pos)
	if !ok {
		return Item{}, false
	}
	return item, next == len(text) || text[next] == ',' || next > item.end && address.PlainByte(text[next])
}

// plainMailbox reads a plain address that is all there is before the next comma
// or the end. It returns the position behind it and that mark, too.
func plainMailbox(text string, pos int) (item Item, next int, ok bool) {
	item, next, ok = plainItem(text, pos)
	if !ok || next == len(text) {
		return item, next, ok
	}
	return item, next + 1, text[next] == ','
}
