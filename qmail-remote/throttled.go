package qmailremote

import (
	"slices"
	"strings"

	"postrider/internal/wire/spawn"
)

// A server that is asked too much says so in words: codes alone do not tell it
// from one that wants a client to come again (greylisting), nor from trouble
// with one mailbox. A wrong guess has mail to that destination wait for a
// minute, or has one message more refused.

// rateWords are what servers say of clients that are too many or too fast.
var rateWords = []string{
	"rate limit", "rate-limit", "ratelimit", "rate exceeded", "exceeded rate", "sending rate", "message rate", "connection rate", "unusual rate", "unusual amount",
	"too many connections", "too many concurrent", "too many simultaneous", "too many sessions", "too many messages", "too many mails", "too many emails",
	"too much mail", "too many recipients from", "too many rcpt", "too fast", "too frequent", "slow down", "throttl",
	"connection limit", "connections limit", "limit on connections", "concurrent connections", "concurrency limit", "simultaneous connections", "connections exceeded",
	"maximum number of connections", "messages per", "mails per", "emails per", "hourly limit", "hourly quota", "daily limit", "daily sending quota",
	"server busy", "server too busy", "system too busy", "[ts0", "[tss0",
}

// mailboxWords tell that it is about one mailbox, or about a first visit.
var mailboxWords = []string{
	"greylist", "graylist", "grey-list", "gray-list", "grey list", "gray list",
	"user you are trying to contact", "recipient is receiving", "mailbox", "over quota", "overquota", "out of storage",
}

// speaksOfRate reports whether a reply says that it is temporary and that there is
// too much mail of ours, or that it comes too fast.
func speaksOfRate(said string) bool {
	if len(said) < 4 || said[0] != '4' {
		return false
	}
	text := strings.ToLower(said)
	// The status may be behind every code.
	if words := strings.Fields(text[4:min(len(text), 40)]); len(words) > 0 && isEnhanced(words[0]) {
		switch {
		case strings.HasPrefix(words[0], "4.2."), words[0] == "4.5.3": // the mailbox; recipients of one message
			return false
		case words[0] == "4.7.28": // RFC 7372's registry: mail flood
			return true
		}
	}
	within := func(word string) bool { return strings.Contains(text, word) }
	return slices.ContainsFunc(rateWords, within) && !slices.ContainsFunc(mailboxWords, within)
}

// troubleOf is the trouble that a reply tells of, otherwise if it says nothing of
// how much there is.
func troubleOf(said string, otherwise spawn.Trouble) spawn.Trouble {
	if speaksOfRate(said) {
		return spawn.Throttled
	}
	return otherwise
}

// trouble is what a message's way tells of the destination.
func (o outcome) trouble() spawn.Trouble {
	if o.message.class == deferred && o.message.trouble != spawn.None {
		return o.message.trouble
	}
	for _, r := range o.recipients {
		if r.class == rcptLater && r.trouble == spawn.Throttled {
			return spawn.Throttled
		}
	}
	return spawn.None
}
