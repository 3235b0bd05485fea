package qmailsend

import "strings"

// verpSuffix ends a sender that is expanded for each recipient.
const verpSuffix = "-@[]"

// isVERP reports whether sender has the form P@H-@[].
func isVERP(sender string) bool {
	rest, found := strings.CutSuffix(sender, verpSuffix)
	return found && strings.IndexByte(rest, '@') >= 0
}

// expandSender returns the sender that a delivery to recipient, as rewritten
// by routing, is given: P@H-@[] becomes P user=host @H (spec 2.3).
func expandSender(sender, recipient string) string {
	rest, found := strings.CutSuffix(sender, verpSuffix)
	at := strings.LastIndexByte(rest, '@')
	split := strings.LastIndexByte(recipient, '@')
	if !found || at < 0 || split < 0 {
		return sender
	}
	return rest[:at] + recipient[:split] + "=" + recipient[split+1:] + rest[at:]
}

// bounceSender returns the address that bounces of a message from sender go
// to: P@H for P@H-@[] (spec 2.6).
func bounceSender(sender string) string {
	if len(sender) > len(verpSuffix) {
		return strings.TrimSuffix(sender, verpSuffix)
	}
	return sender
}
