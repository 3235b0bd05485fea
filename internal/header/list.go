package header

// maxItem bounds one member of a list with its phrase and comments, so that what
// holds one is bounded, too.
const maxItem = 64 << 10

// A Kind says what an Item of a list is.
type Kind byte

const (
	// Mailbox is an address, with a phrase and angle brackets or without.
	Mailbox Kind = iota + 1
	// GroupStart is the name of a group and its colon.
	GroupStart
	// GroupEnd is the semicolon of a group.
	GroupEnd
	// Note is a member of the list that has comments only.
	Note
)

// An Item is one member of a list.
type Item struct {
	Kind Kind
	Addr Addr // of a Mailbox
	// Where in the text the address begins; see AddrAt.
	At int

	angle      bool // the address stands in angle brackets
	start, end int  // the whole item
	// Where the phrase ends that begins at start; of a GroupStart, too.
	phraseEnd int
	// Where the address ends, and the comments behind it begin.
	addrEnd int
}

// A Parser reads the body of a field item by item.
type Parser struct {
	text    string
	pos     int
	runEnd  int // up to here there are only words, dots, "@" and comments
	inGroup bool
	err     error
}

// NewParser returns a Parser of text, the Body of a Field.
func NewParser(text string) *Parser { return &Parser{text: text} }

// AddrAt returns the address of an item by its At, without reading what comes
// before it.
func AddrAt(text string, at int) (Addr, error) {
	if item, ok := plainWord(text, at); ok {
		return item.Addr, nil
	}
	a, _, err := addrAt(text, at)
	return a, err
}

// Err returns why Next ended: nil at the end of the text.
func (p *Parser) Err() error { return p.err }

// Next returns the next item; ok is false at the end or at an error.
func (p *Parser) Next() (item Item, ok bool) {
	for p.err == nil {
		if p.pos < p.runEnd {
			item, p.err = p.fromRun()
			return p.checked(item)
		}
		if item, after, ok := plainMailbox(p.text, p.pos); ok {
			p.pos = after
			return item, true
		}
		run, err := p.findRun()
		if err != nil {
			p.err = err
			break
		}
		switch run.mark.kind {
		case end:
			if run.empty {
				if p.inGroup {
					p.err = ErrGroup
				}
				return Item{}, false
			}
			p.runEnd = run.end
		case comma:
			p.takeRun(run)
		case semicolon:
			if !run.empty {
				p.runEnd = run.end // and then again to the semicolon
				continue
			}
			p.pos = run.mark.end
			if p.inGroup {
				p.inGroup = false
				return Item{Kind: GroupEnd, start: run.end, end: p.pos}, true
			}
		case colon:
			item, p.err = p.groupStart(run)
			return p.checked(item)
		case left:
			item, p.err = p.angleMailbox(run)
			return p.checked(item)
		default:
			p.err = ErrAngle
		}
	}
	return Item{}, false
}

func (p *Parser) checked(item Item) (Item, bool) {
	if p.err == nil && item.end-item.start > maxItem {
		p.err = ErrLongItem
	}
	return item, p.err == nil
}

// A run is what comes before the next mark that is neither dot nor "@".
type run struct {
	end   int   // behind the last token of it
	empty bool  // it has no token
	words bool  // it has a token that is no comment
	hasAt bool  // it has an "@" or a domain literal
	mark  token // the mark
}

// findRun looks from pos to the next mark. It is called once for each run, so
// that no text is looked at again for every word of it.
func (p *Parser) findRun() (run, error) {
	p.skipBlanks()
	r := run{end: p.pos, empty: true}
	for {
		t, err := scan(p.text, r.end)
		if err != nil {
			return run{}, err
		}
		switch t.kind {
		case comment:
		case at, literal:
			r.words, r.hasAt = true, true
		case dot, atom, quoted:
			r.words = true
		default:
			r.mark = t
			return r, nil
		}
		r.end, r.empty = t.end, false
	}
}

func (p *Parser) skipBlanks() {
	for p.pos < len(p.text) && blank(p.text[p.pos]) {
		p.pos++
	}
}

// takeRun makes the words before a comma the next items, or passes the comma if
// there are none.
func (p *Parser) takeRun(r run) {
	if r.empty {
		p.pos = r.mark.end
		return
	}
	p.runEnd = r.end
}

// fromRun returns the next item of a run without angle brackets. Two words
// without dot or "@" between them are two addresses: somebody forgot a comma.
// Comments belong to the address behind them, those at the end to the last.
func (p *Parser) fromRun() (Item, error) {
	if item, ok := plainWord(p.text[:p.runEnd], p.pos); ok {
		p.pos = item.end
		return item, nil
	}
	p.skipBlanks()
	item := Item{Kind: Mailbox, start: p.pos, phraseEnd: p.pos, end: p.runEnd, At: p.pos}
	t, err := scanPastComments(p.text[:p.runEnd], p.pos)
	if err != nil {
		return Item{}, err
	}
	if t.kind == end {
		item.Kind, item.addrEnd = Note, p.pos
		p.pos = p.runEnd
		return item, nil
	}
	item.Addr, item.addrEnd, err = addrAt(p.text[:p.runEnd], p.pos)
	if err != nil {
		return Item{}, err
	}
	t, err = scanPastComments(p.text[:p.runEnd], item.addrEnd)
	if err != nil {
		return Item{}, err
	}
	if t.kind != end {
		item.end = item.addrEnd
	}
	p.pos = item.end
	return item, nil
}

// groupStart takes the run as the name of a group. A name with an "@" would
// hide an address.
func (p *Parser) groupStart(r run) (Item, error) {
	if p.inGroup {
		return Item{}, ErrGroup
	}
	if !r.words || r.hasAt {
		return Item{}, ErrGroupName
	}
	item := Item{Kind: GroupStart, start: p.pos, phraseEnd: r.end, end: r.mark.end}
	p.inGroup = true
	p.pos = r.mark.end
	return item, nil
}

// angleMailbox takes the run as the phrase before "<", and the comments that
// directly follow ">".
func (p *Parser) angleMailbox(r run) (Item, error) {
	item := Item{Kind: Mailbox, angle: true, start: p.pos, phraseEnd: r.end, At: r.mark.start}
	var err error
	item.Addr, item.addrEnd, err = addrAt(p.text, r.mark.start)
	if err != nil {
		return Item{}, err
	}
	item.end = item.addrEnd
	for {
		t, err := scan(p.text, item.end)
		if err != nil {
			return Item{}, err
		}
		if t.kind != comment {
			break
		}
		item.end = t.end
	}
	p.pos = item.end
	return item, nil
}
