package postfix

import (
	"net/netip"
	"slices"
	"strings"

	"postrider/internal/migrate"
)

// item is one of a list: a word, a table, or !word.
type item struct {
	not   bool
	word  string
	table *table // nil: it is a word
	where migrate.Where
}

// maxItems is how many items a list has at most, with those of its files, and
// maxListFiles how many of those are read.
const (
	maxItems     = 1 << 20
	maxListFiles = 100
)

// list returns the items of a parameter: words, the lines of files that it names,
// and tables. An error is that of a file that cannot be read.
func (c *config) list(parameter string) ([]item, error) {
	value, err := c.main.value(parameter)
	if err != nil {
		return nil, err
	}
	files := 0
	return c.items(nil, words(value), c.main.where(parameter), &files)
}

// items adds the items of a list. files counts those that were read for it.
func (c *config) items(all []item, list []string, where migrate.Where, files *int) ([]item, error) {
	for _, word := range list {
		if len(all) >= maxItems || *files > maxListFiles {
			return all, errTooMuch
		}
		word, not := strings.CutPrefix(word, "!")
		switch {
		case strings.HasPrefix(word, "/"):
			*files++
			text, err := c.tree.Read(word)
			if err != nil {
				return all, err
			}
			for _, l := range logicalLines(text) {
				if all, err = c.items(all, words(l.text), migrate.Where{File: word, Line: l.line}, files); err != nil {
					return all, err
				}
			}
		case strings.Contains(word, ":") && word[0] != '[' && !isAddress(word):
			all = append(all, item{not, word, c.table(word), where})
		default:
			all = append(all, item{not, migrate.Lower(word), nil, where})
		}
	}
	return all, nil
}

// isAddress tells an IPv6 address or network, which has colons like a table.
func isAddress(word string) bool {
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(word)
	return err == nil
}

// listed is a list of domains, kept.
type listed struct {
	items []item
	err   error
	// plain has the words, if there is nothing else in the list.
	plain map[string]bool
}

func (c *config) listed(parameter string) *listed {
	if l := c.lists[parameter]; l != nil {
		return l
	}
	l := &listed{plain: map[string]bool{}}
	l.items, l.err = c.list(parameter)
	for _, i := range l.items {
		if i.not || i.table != nil {
			l.plain = nil
			break
		}
		l.plain[i.word] = true
	}
	c.lists[parameter] = l
	return l
}

// matchesDomain tells whether a domain is in the list of a parameter.
func (c *config) matchesDomain(parameter, domain string) (bool, error) {
	l := c.listed(parameter)
	if l.err != nil {
		return false, l.err
	}
	parents := c.matchesParents(parameter)
	if l.plain != nil {
		return inWords(l.plain, domain, parents), nil
	}
	for _, i := range l.items {
		met, err := i.has(domain, parents)
		if err != nil {
			return false, err
		}
		if met {
			return !i.not, nil
		}
	}
	return false, nil
}

// inWords looks for a domain, and for what stands for those below another:
// that itself with parents, else with a dot in front.
func inWords(set map[string]bool, domain string, parents bool) bool {
	if set[domain] {
		return true
	}
	for _, parent, more := strings.Cut(domain, "."); more; _, parent, more = strings.Cut(parent, ".") {
		if parents && set[parent] || !parents && set["."+parent] {
			return true
		}
	}
	return false
}

func (i item) has(domain string, parents bool) (bool, error) {
	if i.table == nil {
		return inWords(map[string]bool{i.word: true}, domain, parents), nil
	}
	_, found, err := i.table.lookup(domain)
	for _, parent, more := strings.Cut(domain, "."); more && !found && err == nil; _, parent, more = strings.Cut(parent, ".") {
		key := "." + parent
		if parents {
			key = parent
		}
		_, found, err = i.table.lookup(key)
	}
	return found, err
}

// matchesParents tells whether a domain in a list stands for those below it.
func (c *config) matchesParents(parameter string) bool {
	return slices.Contains(words(c.main.get("parent_domain_matches_subdomains")), parameter)
}

// domains are those that a list names one by one. lost is called for what stands
// for domains that cannot be told.
func (c *config) domains(parameter string, lost func(where migrate.Where, what, why string)) []string {
	list, err := c.list(parameter)
	if err != nil {
		lost(c.main.where(parameter), parameter, err.Error())
	}
	var all []string
	for _, i := range list {
		switch {
		case i.not:
			lost(i.where, "!"+i.word, "a domain that is taken out of a list: see that no other item of "+parameter+" means it")
		case i.table == nil:
			all = append(all, i.word)
		case i.table.err != nil:
			lost(i.where, i.word, i.table.err.Error())
		case i.table.rules != nil || i.table.static != nil:
			lost(i.where, i.word, "which domains match is not known: name them")
		default:
			for _, e := range i.table.entries {
				if !strings.Contains(e.key, "@") {
					all = append(all, e.key)
				}
			}
		}
	}
	return all
}

// networks reads a list of networks. Each is called with its form in CIDR.
func (c *config) networks(parameter string, each func(i item, network string), lost func(i item, why string)) error {
	list, err := c.list(parameter)
	for _, i := range list {
		if i.table != nil {
			c.networksOf(i, each, lost)
			continue
		}
		network, ok := network(i.word)
		if !ok {
			lost(i, "this is neither an address nor a network")
			continue
		}
		each(i, network)
	}
	return err
}

// networksOf are those of a table of networks.
func (c *config) networksOf(i item, each func(item, string), lost func(item, string)) {
	if i.table.err != nil || i.table.rules != nil || i.table.static != nil {
		lost(i, "the networks of this table are not known: name them")
		return
	}
	for _, e := range i.table.entries {
		if n, ok := network(e.key); ok {
			each(item{not: i.not, word: e.key, where: e.where}, n)
		} else {
			lost(item{word: e.key, where: e.where}, "this is neither an address nor a network")
		}
	}
}

// network is an address or a network, such as 10.0.0.0/8 or [2001:db8::]/32, as
// tcprules has it.
func network(word string) (string, bool) {
	word = strings.NewReplacer("[", "", "]", "").Replace(word)
	if a, err := netip.ParseAddr(word); err == nil {
		return a.String(), true
	}
	if n, err := netip.ParsePrefix(word); err == nil {
		if n.Bits() == n.Addr().BitLen() {
			return n.Addr().String(), true
		}
		return n.Masked().String(), true
	}
	parts := strings.Split(word, ".")
	if len(parts) < 4 && !slices.Contains(parts, "") { // 127 or 192.168, of older ones
		n, err := netip.ParsePrefix(strings.Join(append(parts, slices.Repeat([]string{"0"}, 4-len(parts))...), ".") + "/" + []string{"8", "16", "24"}[len(parts)-1])
		if err == nil {
			return n.String(), true
		}
	}
	return "", false
}
