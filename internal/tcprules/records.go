package tcprules

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Records is what a line of rules becomes in a database: the same data for each
// key.
type Records struct {
	Keys []string
	Data string
}

// ParseRecords reads one line, which is neither empty nor a comment. A database
// has no networks: tcpserver could not find them.
func ParseRecords(line string) (Records, error) {
	r, err := parseLine(line)
	if err != nil {
		return Records{}, err
	}
	if r.network.IsValid() {
		return Records{}, fmt.Errorf("a database holds no networks; %s", instead(r.network))
	}
	data := r.decision.vars
	if r.decision.Deny {
		data = "D\x00" + data
	}
	return Records{r.keys, data}, nil
}

// instead says how a network is written in another way.
func instead(p netip.Prefix) string {
	if !p.Addr().Is4() {
		return "only the text control/tcp.smtp can have " + p.String()
	}
	address, bits := p.Addr().As4(), p.Bits()
	text := ""
	for i := 0; bits > 0; i++ {
		text += strconv.Itoa(int(address[i]))
		if bits < 8 {
			text += "-" + strconv.Itoa(int(address[i])|0xff>>bits)
		}
		if i < 3 {
			text += "."
		}
		bits -= 8
	}
	return "write " + p.String() + " as " + strconv.Quote(text)
}
