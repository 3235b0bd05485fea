package qmaillocal

import "strings"

// environment returns the variables of programs (spec section 4.4): what was
// inherited, and what this delivery is about. defaultExt may be nil.
func environment(inherited []string, o operands, l lines, newSender string, defaultExt *string) []string {
	o.local = plainLocal(o.local)
	own := []string{
		"SENDER=" + o.sender,
		"NEWSENDER=" + newSender,
		"RECIPIENT=" + o.local + "@" + o.domain,
		"USER=" + o.user,
		"HOME=" + o.home,
		"LOCAL=" + o.local,
		"HOST=" + o.domain,
		"EXT=" + o.ext,
		"DTLINE=" + l.deliveredTo,
		"RPLINE=" + l.returnPath,
		"UFLINE=" + l.from,
	}
	host, ext := o.domain, o.ext
	for _, n := range []string{"2", "3", "4"} {
		if dot := strings.LastIndexByte(host, '.'); dot >= 0 {
			host = host[:dot]
		}
		_, ext, _ = strings.Cut(ext, "-")
		own = append(own, "HOST"+n+"="+host, "EXT"+n+"="+ext)
	}
	if defaultExt != nil {
		own = append(own, "DEFAULT="+*defaultExt)
	}
	names := make(map[string]bool, len(own))
	for _, entry := range own {
		names[name(entry)] = true
	}
	all := make([]string, 0, len(inherited)+len(own))
	for _, entry := range inherited {
		if !names[name(entry)] {
			all = append(all, entry)
		}
	}
	return append(all, own...)
}

func name(entry string) string {
	n, _, _ := strings.Cut(entry, "=")
	return n
}

// getenv returns the value of the first entry called n, or nothing.
func getenv(environ []string, n string) string {
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, n+"="); found {
			return value
		}
	}
	return ""
}
