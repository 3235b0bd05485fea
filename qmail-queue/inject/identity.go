package inject

import (
	"strings"

	"postrider/internal/world"
)

// injectLetters is QMAILINJECT.
type injectLetters struct {
	commentName      bool // c: "addr (Name)", not "Name <addr>"
	ignoreReturnPath bool // s
	dropFrom         bool // f
	dropMessageID    bool // i
	verpRecipient    bool // r
	verpMessage      bool // m
}

func readLetters(w world.World) injectLetters {
	value, _ := w.Getenv("QMAILINJECT")
	return injectLetters{
		commentName:      strings.Contains(value, "c"),
		ignoreReturnPath: strings.Contains(value, "s"),
		dropFrom:         strings.Contains(value, "f"),
		dropMessageID:    strings.Contains(value, "i"),
		verpRecipient:    strings.Contains(value, "r"),
		verpMessage:      strings.Contains(value, "m"),
	}
}

// An identity is who sends, for fields and an envelope that do not say.
type identity struct {
	user, host string // of From; no host means the default host
	name       string // may be empty
	// Of the envelope sender.
	senderUser, senderHost string
}

// readIdentity takes the identity from the environment and the request.
func readIdentity(w world.World, req request) (identity, error) {
	id := identity{
		user: firstOf(w, "QMAILUSER", "MAILUSER", "USER", "LOGNAME"),
		host: firstOf(w, "QMAILHOST", "MAILHOST"),
		name: firstOf(w, "QMAILNAME", "MAILNAME", "NAME"),
	}
	if id.user == "" {
		id.user = "anonymous"
	}
	if req.fromFollows {
		id.name = ""
		if !nullSender(*req.sender) {
			id.user, id.host = splitArgument(*req.sender)
		}
	}
	if req.fullName != "" {
		id.name = req.fullName
	}
	id.senderUser, id.senderHost = id.user, id.host
	if user := firstOf(w, "QMAILSUSER"); user != "" {
		id.senderUser = user
	}
	if host := firstOf(w, "QMAILSHOST"); host != "" {
		id.senderHost = host
	}

	if strings.ContainsAny(id.name, "\r\n\x00") {
		return identity{}, refuse("full name has a line end: " + shown(id.name))
	}
	id.name = strings.TrimSpace(strings.Map(blankControl, id.name))
	return id, nil
}

// blankControl changes the bytes that a header line must not have (R37).
func blankControl(r rune) rune {
	if r < 32 || r == 127 {
		return ' '
	}
	return r
}

// firstOf returns the first of these variables that is set and not empty.
func firstOf(w world.World, names ...string) string {
	for _, name := range names {
		if value, _ := w.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}
