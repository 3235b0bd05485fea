package inject

import (
	"strings"

	"postrider/internal/header"
)

// A fieldKind says what is done with a field.
type fieldKind int

const (
	untouched fieldKind = iota
	// ofSender is a field of addresses that must be readable.
	ofSender
	// ofRecipients is a field of addresses that can be recipients.
	ofRecipients
)

// A fieldRule is a row of the table of fields that mean something.
type fieldRule struct {
	name    string
	kind    fieldKind
	resends bool // it makes the message a resent one (RFC 5322 section 3.6.6)
	dropped bool // it is never queued
}

// fieldRules is the table of spec section 7.1. Names are in lower case.
func fieldRules() []fieldRule {
	return []fieldRule{
		{"from", ofSender, false, false},
		{"sender", ofSender, false, false},
		{"reply-to", ofSender, false, false},
		{"return-receipt-to", ofSender, false, false},
		{"errors-to", ofSender, false, false},
		{"return-path", ofSender, false, true},
		{"resent-from", ofSender, true, false},
		{"resent-sender", ofSender, true, false},
		{"resent-reply-to", ofSender, true, false},

		{"to", ofRecipients, false, false},
		{"cc", ofRecipients, false, false},
		{"bcc", ofRecipients, false, true},
		{"apparently-to", ofRecipients, false, false},
		{"resent-to", ofRecipients, true, false},
		{"resent-cc", ofRecipients, true, false},
		{"resent-bcc", ofRecipients, true, true},

		{"date", untouched, false, false},
		{"message-id", untouched, false, false},
		{"resent-date", untouched, true, false},
		{"resent-message-id", untouched, true, false},
		{"mail-followup-to", untouched, false, false},
		{"content-length", untouched, false, true},
	}
}

// A survey is what is known of a header before its addresses are read.
type survey struct {
	rules map[string]fieldRule
	seen  map[string]bool // by the names of the table
	// resent is set if the message is sent on by somebody who got it.
	resent bool
}

func surveyHeader(head string, letters injectLetters) survey {
	s := survey{rules: map[string]fieldRule{}, seen: map[string]bool{}}
	for _, rule := range fieldRules() {
		switch {
		case rule.name == "from" && letters.dropFrom:
			rule.kind, rule.dropped = untouched, true
		case rule.name == "message-id" && letters.dropMessageID:
			rule.dropped = true
		}
		s.rules[rule.name] = rule
	}
	for head != "" {
		var field string
		field, head = header.Next(head)
		name, _ := header.Name(field)
		rule := s.rule(name)
		if rule.name == "" || rule.dropped && (rule.name == "from" || rule.name == "message-id") {
			continue
		}
		s.seen[rule.name] = true
		s.resent = s.resent || rule.resends
	}
	return s
}

// longestRule is the length of the longest name of the table.
const longestRule = len("return-receipt-to")

// rule returns what is done with a field called name.
func (s survey) rule(name string) fieldRule {
	if len(name) > longestRule {
		return fieldRule{}
	}
	var lower [longestRule]byte
	for i := range len(name) {
		lower[i] = name[i]
		if 'A' <= name[i] && name[i] <= 'Z' {
			lower[i] += 'a' - 'A'
		}
	}
	return s.rules[string(lower[:len(name)])]
}

// prefix is what the names of this sending's fields begin with.
func (s survey) prefix() string {
	if s.resent {
		return "Resent-"
	}
	return ""
}

// has reports whether the header has the field of this sending called name.
func (s survey) has(name string) bool { return s.seen[strings.ToLower(s.prefix()+name)] }

// names reports whether a field of this kind names the recipients of this
// sending: of a resent message only the Resent- fields do.
func (s survey) names(rule fieldRule) bool {
	return rule.kind == ofRecipients && rule.resends == s.resent
}
