package tcprules

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Wrong is the error of Parse: the lines that it does not understand, in order.
type Wrong []WrongLine

// WrongLine is one of them.
type WrongLine struct {
	Number  int // from 1
	Problem string
}

// maxWrong is how many are told.
const maxWrong = 50

func (w Wrong) Error() string { return fmt.Sprintf("line %d: %s", w[0].Number, w[0].Problem) }

// Parse reads rules in tcprules' text form: a line is address:allow or
// address:deny, then any number of ,NAME="value" or ,!NAME. The byte behind
// "=" is the delimiter, whatever it is. Lines that begin with # are comments.
// An address may hold one range of numbers (1.2.3.4-9, 10.2-3.), be a network
// (10.0.0.0/8, 2001:db8::/32) or an IPv6 address, with or without brackets.
func Parse(text string) (*Rules, error) {
	r := &Rules{exact: make(map[string]Decision)}
	var wrong Wrong
	for number := 1; text != ""; number++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = strings.TrimRight(line, " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := r.add(line); err != nil && len(wrong) < maxWrong {
			wrong = append(wrong, WrongLine{number, err.Error()})
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	slices.SortStableFunc(r.nets, func(a, b network) int { return b.prefix.Bits() - a.prefix.Bits() })
	return r, nil
}

// UsesNames reports whether some rule depends on the client's host name: it
// never applies where names are not looked up.
func (r *Rules) UsesNames() bool {
	for key := range r.exact {
		if strings.HasPrefix(key, "=") || strings.Contains(key, "@=") {
			return true
		}
	}
	return false
}

func (r *Rules) add(line string) error {
	parsed, err := parseLine(line)
	if err != nil {
		return err
	}
	if parsed.network.IsValid() {
		r.nets = append(r.nets, network{parsed.network, parsed.decision})
		return nil
	}
	for _, key := range parsed.keys {
		if _, twice := r.exact[key]; !twice {
			r.exact[key] = parsed.decision
		}
	}
	return nil
}

// rule is a line: of a network, or of addresses.
type rule struct {
	keys     []string
	network  netip.Prefix
	decision Decision
}

func parseLine(line string) (rule, error) {
	address, rest, deny, err := cutVerdict(line)
	if err != nil {
		return rule{}, err
	}
	vars, err := parseVars(rest)
	if err != nil {
		return rule{}, err
	}
	r := rule{decision: Decision{Deny: deny, vars: vars}}
	if strings.Contains(address, "/") && !strings.ContainsAny(address, "=@") {
		r.network, err = netip.ParsePrefix(strings.Trim(address, "[]"))
		if err != nil || r.network != r.network.Masked() {
			return rule{}, fmt.Errorf("%q is no network", address)
		}
		return r, nil
	}
	r.keys, err = expand(address)
	return r, err
}

// cutVerdict splits a line at its :allow or :deny. An IPv6 address has colons
// of its own.
func cutVerdict(line string) (address, rest string, deny bool, err error) {
	for i := range len(line) {
		if line[i] != ':' {
			continue
		}
		for _, verdict := range []string{":allow", ":deny"} {
			rest, found := strings.CutPrefix(line[i:], verdict)
			if found && (rest == "" || rest[0] == ',') {
				return line[:i], rest, verdict == ":deny", nil
			}
		}
	}
	return "", "", false, fmt.Errorf("%q has neither :allow nor :deny", line)
}

// parseVars turns ,A="x",!B into the form that a cdb holds.
func parseVars(rest string) (string, error) {
	var vars strings.Builder
	for rest != "" {
		if rest[0] != ',' {
			return "", fmt.Errorf("unexpected %q behind a variable", rest)
		}
		if name, found := strings.CutPrefix(rest, ",!"); found {
			name, after, more := strings.Cut(name, ",")
			if err := checkName(name); err != nil {
				return "", err
			}
			vars.WriteString("-" + name + "\x00")
			if rest = ""; more {
				rest = "," + after
			}
			continue
		}
		name, value, found := strings.Cut(rest[1:], "=")
		if err := checkName(name); err != nil || !found || value == "" {
			return "", fmt.Errorf("%q is not ,NAME=\"value\"", rest)
		}
		value, after, closed := strings.Cut(value[1:], value[:1])
		if !closed || strings.IndexByte(value, 0) >= 0 {
			return "", fmt.Errorf("the value of %s does not end", name)
		}
		vars.WriteString("+" + name + "=" + value + "\x00")
		rest = after
	}
	return vars.String(), nil
}

func checkName(name string) error {
	if name == "" || strings.ContainsAny(name, " \t\x00\"'") {
		return fmt.Errorf("%q is no variable", name)
	}
	return nil
}

// expand returns the keys that an address stands for: more than one if it
// holds a range of numbers.
func expand(address string) ([]string, error) {
	if ip, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil && ip.Is6() {
		return []string{ip.Unmap().String()}, nil
	}
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		keys, err := expand(address[at+1:])
		for i, key := range keys {
			keys[i] = address[:at+1] + key
		}
		return keys, err
	}
	if strings.HasPrefix(address, "=") {
		return []string{strings.ToLower(address)}, nil
	}
	if err := checkDotted(address); err != nil {
		return nil, err
	}
	dash := strings.IndexByte(address, '-')
	if dash < 0 {
		return []string{address}, nil
	}
	left := strings.LastIndexByte(address[:dash], '.') + 1
	right := len(address)
	if dot := strings.IndexByte(address[dash:], '.'); dot >= 0 {
		right = dash + dot
	}
	low, lowErr := strconv.ParseUint(address[left:dash], 10, 8)
	high, highErr := strconv.ParseUint(address[dash+1:right], 10, 8)
	if lowErr != nil || highErr != nil || low > high {
		return nil, fmt.Errorf("%q holds no range of numbers from 0 to 255", address)
	}
	var keys []string
	for n := low; n <= high; n++ {
		keys = append(keys, address[:left]+strconv.FormatUint(n, 10)+address[right:])
	}
	return keys, nil
}

// checkDotted refuses what could never match, since a rule that silently does
// nothing may be one that denies.
func checkDotted(address string) error {
	if address == "" {
		return nil
	}
	parts := strings.Split(strings.TrimSuffix(address, "."), ".")
	whole := !strings.HasSuffix(address, ".")
	if len(parts) > 4 || whole != (len(parts) == 4) {
		return fmt.Errorf("%q is neither an IP address nor a prefix that ends with a dot", address)
	}
	ranges := 0
	for _, part := range parts {
		low, high, isRange := strings.Cut(part, "-")
		if isRange {
			ranges++
		} else {
			high = low
		}
		if !isNumber(low) || !isNumber(high) || ranges > 1 {
			return fmt.Errorf("%q is no IP address", address)
		}
	}
	return nil
}

func isNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 8)
	return err == nil && s == strconv.FormatUint(n, 10)
}
