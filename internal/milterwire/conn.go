package milterwire

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"
	"time"
)

// Commands.
const (
	cmdNegotiate   = 'O'
	cmdMacro       = 'D'
	cmdConnect     = 'C'
	cmdHelo        = 'H'
	cmdMail        = 'M'
	cmdRcpt        = 'R'
	cmdData        = 'T'
	cmdHeader      = 'L'
	cmdEndOfHeader = 'N'
	cmdBody        = 'B'
	cmdEnd         = 'E'
	cmdAbort       = 'A'
	cmdQuit        = 'Q'
)

// What a milter can ask for, bits of the protocol (mfdef.h).
const (
	noConnect     = 1 << 0
	noHelo        = 1 << 1
	noMail        = 1 << 2
	noRcpt        = 1 << 3
	noBody        = 1 << 4
	noHeaders     = 1 << 5
	noEndOfHeader = 1 << 6
	silentHeader  = 1 << 7
	noUnknown     = 1 << 8
	noData        = 1 << 9
	canSkip       = 1 << 10
	silentConnect = 1 << 12
	silentHelo    = 1 << 13
	silentMail    = 1 << 14
	silentRcpt    = 1 << 15
	silentData    = 1 << 16
	silentUnknown = 1 << 17
	silentEOH     = 1 << 18
	silentBody    = 1 << 19
	leadingSpace  = 1 << 20

	offered = noConnect | noHelo | noMail | noRcpt | noBody | noHeaders | noEndOfHeader | silentHeader | noUnknown | noData | canSkip |
		silentConnect | silentHelo | silentMail | silentRcpt | silentData | silentUnknown | silentEOH | silentBody | leadingSpace
	// sizes are flags between libmilter and Sendmail that do not matter here.
	sizes = 1<<28 | 1<<29 | 1<<30

	// allActions are all changes of version 6, and lists of macros.
	allActions = 1<<9 - 1

	version    = 6
	oldest     = 2
	dataSince  = 4 // the version that has the command of DATA
	macroSince = 6 // the version that has lists of macros
)

const (
	// MaxBody is the most bytes of one piece of a body.
	MaxBody = 65535
	// maxMacros is how many a milter may ask for at a step.
	maxMacros = 100
)

// Macros are values by name ("j", "{auth_authen}").
type Macros map[string]string

// The macros of each step, unless the milter asks for others; those of
// libmilter's documents that a mail server of this kind knows.
var usualMacros = map[byte][]string{
	cmdConnect:     {"j", "v", "_", "{daemon_name}", "{daemon_addr}", "{daemon_port}", "{if_name}", "{if_addr}", "{client_addr}", "{client_name}", "{client_port}", "{client_ptr}"},
	cmdHelo:        {"{tls_version}", "{cipher}", "{cipher_bits}"},
	cmdMail:        {"i", "{auth_type}", "{auth_authen}", "{mail_addr}", "{mail_host}"},
	cmdRcpt:        {"i", "{rcpt_addr}", "{rcpt_host}"},
	cmdData:        {"i"},
	cmdEndOfHeader: {"i"},
	cmdEnd:         {"i"},
}

// stages are the steps in the numbers of lists of macros.
var stages = [...]byte{cmdConnect, cmdHelo, cmdMail, cmdRcpt, cmdData, cmdEnd, cmdEndOfHeader}

// Conn is a connection to a milter, for one message.
type Conn struct {
	packets
	version  uint32
	protocol uint32
	macros   map[byte][]string
	skipped  map[byte]bool // no more of these
}

// Open negotiates over a link. Each answer may take as long as timeout.
func Open(link Link, timeout time.Duration) (*Conn, error) {
	c := &Conn{packets: packets{link: link, in: bufio.NewReaderSize(link, 1<<10), timeout: timeout, until: time.Now().Add(timeout)},
		macros: usualMacros, skipped: make(map[byte]bool)}
	offer := binary.BigEndian.AppendUint32(nil, version)
	offer = binary.BigEndian.AppendUint32(offer, allActions)
	offer = binary.BigEndian.AppendUint32(offer, offered)
	if err := c.put(cmdNegotiate, offer); err != nil {
		return nil, err
	}
	letter, data, err := c.get()
	if err != nil {
		return nil, err
	}
	if letter != cmdNegotiate || len(data) < 12 {
		return nil, broken("negotiation with %q and %d bytes", letter, len(data))
	}
	c.version = binary.BigEndian.Uint32(data)
	c.protocol = binary.BigEndian.Uint32(data[8:]) &^ sizes
	if c.version < oldest || c.version > version || c.protocol&^offered != 0 {
		return nil, broken("version %d, protocol %#x", c.version, c.protocol)
	}
	if c.version >= macroSince {
		err = c.chooseMacros(data[12:])
	}
	return c, err
}

// chooseMacros reads which macros the milter wants: for each step its number
// and names.
func (c *Conn) chooseMacros(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	chosen := make(map[byte][]string)
	for step, names := range c.macros {
		chosen[step] = names
	}
	for len(data) > 0 {
		if len(data) < 5 {
			return broken("list of macros")
		}
		stage := binary.BigEndian.Uint32(data)
		names, rest, ended := strings.Cut(string(data[4:]), "\x00")
		if !ended || stage >= uint32(len(stages)) {
			return broken("list of macros")
		}
		list := strings.Fields(names)
		if len(list) > maxMacros {
			return broken("list of %d macros", len(list))
		}
		chosen[stages[stage]] = list
		data = []byte(rest)
	}
	c.macros = chosen
	return nil
}

// Until sets the end of all waits that follow: a milter that says that it needs
// more time gets no more than that.
func (c *Conn) Until(t time.Time) { c.until = t }

// LeadingSpace reports whether values of header fields have the blank behind
// the colon, in both directions.
func (c *Conn) LeadingSpace() bool { return c.protocol&leadingSpace != 0 }

// Connect tells who the client is. family is '4', '6' or 'U' for unknown.
func (c *Conn) Connect(m Macros, host string, family byte, port uint16, address string) (Action, error) {
	data := append(append([]byte(host), 0), family)
	if family != 'U' {
		data = binary.BigEndian.AppendUint16(data, port)
		data = append(append(data, address...), 0)
	}
	return c.step(cmdConnect, m, noConnect, silentConnect, data)
}

// Helo tells what the client calls itself.
func (c *Conn) Helo(m Macros, name string) (Action, error) {
	return c.step(cmdHelo, m, noHelo, silentHelo, cstrings(name))
}

// Mail tells the sender and the parameters of MAIL.
func (c *Conn) Mail(m Macros, sender string, parameters []string) (Action, error) {
	return c.step(cmdMail, m, noMail, silentMail, cstrings(append([]string{"<" + sender + ">"}, parameters...)...))
}

// Rcpt tells a recipient and the parameters of RCPT.
func (c *Conn) Rcpt(m Macros, recipient string, parameters []string) (Action, error) {
	return c.step(cmdRcpt, m, noRcpt, silentRcpt, cstrings(append([]string{"<" + recipient + ">"}, parameters...)...))
}

// Data tells that the message comes.
func (c *Conn) Data(m Macros) (Action, error) {
	if c.version < dataSince {
		return Action{Verdict: Continue}, nil
	}
	return c.step(cmdData, m, noData, silentData, nil)
}

// Header tells a header field. value has what stands behind the colon; lines
// end in LF, but for the last.
func (c *Conn) Header(name, value string) (Action, error) {
	if !c.LeadingSpace() {
		value = strings.TrimPrefix(value, " ")
	}
	return c.step(cmdHeader, nil, noHeaders, silentHeader, cstrings(name, value))
}

// EndOfHeader tells that all header fields were told.
func (c *Conn) EndOfHeader(m Macros) (Action, error) {
	return c.step(cmdEndOfHeader, m, noEndOfHeader, silentEOH, nil)
}

// WantsBody reports whether there is a use in Body.
func (c *Conn) WantsBody() bool { return c.protocol&noBody == 0 && !c.skipped[cmdBody] }

// Body tells at most MaxBody bytes of the body; lines end in CR LF.
func (c *Conn) Body(piece []byte) (Action, error) {
	return c.step(cmdBody, nil, noBody, silentBody, piece)
}

// End tells that this was the message, and returns what is to be changed, in
// order, and the verdict. What replaces the body goes to body; replaced says
// that there is a new one.
func (c *Conn) End(m Macros, body io.Writer) (changes []Change, replaced bool, a Action, err error) {
	if err := c.putMacros(cmdEnd, m); err != nil {
		return nil, false, a, err
	}
	if err := c.put(cmdEnd); err != nil {
		return nil, false, a, err
	}
	for patience := maxProgress; ; {
		letter, n, err := c.head()
		if err != nil {
			return nil, false, a, err
		}
		switch letter {
		case replaceBody:
			replaced = true
			if _, err := io.CopyN(body, c.in, int64(n)); err != nil {
				return nil, false, a, err
			}
			continue
		case progress:
			if patience--; patience < 0 {
				return nil, false, a, broken("it never ends")
			}
		}
		data, err := c.data(n)
		switch {
		case err != nil:
			return nil, false, a, err
		case letter == progress:
			continue
		case isVerdict(letter):
			a, err := parseAction(letter, data)
			return changes, replaced, a, err
		case len(changes) == maxChanges:
			return nil, false, a, broken("more than %d changes", maxChanges)
		}
		change, err := parseChange(letter, data)
		if err != nil {
			return nil, false, a, err
		}
		changes = append(changes, change)
	}
}

func isVerdict(letter byte) bool { return strings.IndexByte("cadyrts", letter) >= 0 }

// Quit ends the connection's conversation; aborted says that the message was
// given up. The milter needs not hear it.
func (c *Conn) Quit(aborted bool) {
	c.out = c.out[:0]
	if aborted {
		_ = c.put(cmdAbort) // only buffered
	}
	_ = c.put(cmdQuit)
	_ = c.flush()
}

// step tells something, unless the milter does not want it, and waits for the
// verdict, unless it gives none.
func (c *Conn) step(command byte, m Macros, unwanted, silent uint32, data []byte) (Action, error) {
	on := Action{Verdict: Continue}
	if c.skipped[command] {
		return on, nil
	}
	if err := c.putMacros(command, m); err != nil {
		return on, err
	}
	if c.protocol&unwanted != 0 {
		return on, nil
	}
	if err := c.put(command, data); err != nil {
		return on, err
	}
	if c.protocol&silent != 0 {
		return on, nil
	}
	return c.verdict(command)
}

func (c *Conn) verdict(command byte) (Action, error) {
	for range maxProgress {
		letter, data, err := c.get()
		switch {
		case err != nil:
			return Action{}, err
		case letter == progress:
			continue
		case letter == skip && c.protocol&canSkip != 0 && (command == cmdRcpt || command == cmdHeader || command == cmdBody):
			c.skipped[command] = true
			return Action{Verdict: Continue}, nil
		}
		return parseAction(letter, data)
	}
	return Action{}, broken("it never ends")
}

// putMacros sends those of the step that are known.
func (c *Conn) putMacros(command byte, m Macros) error {
	data := []byte{command}
	for _, name := range c.macros[command] {
		value, known := m[name]
		if !known && len(name) == 1 {
			value, known = m["{"+name+"}"]
		}
		if known {
			data = append(append(data, cstrings(name)...), cstrings(value)...)
		}
	}
	if len(data) == 1 {
		return nil
	}
	return c.put(cmdMacro, data)
}

// cstrings returns strings that each end with NUL. One that has a NUL itself
// ends there.
func cstrings(list ...string) []byte {
	var b []byte
	for _, s := range list {
		s, _, _ = strings.Cut(s, "\x00")
		b = append(append(b, s...), 0)
	}
	return b
}
