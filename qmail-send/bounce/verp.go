package bounce

import (
	"strings"

	"postrider/internal/address"
	"postrider/internal/route"
)

// verpSuffix ends a sender that is expanded for each recipient.
const verpSuffix = "-@[]"

// IsVERP reports whether sender has the form P@H-@[].
func IsVERP(sender string) bool {
	rest, found := strings.CutSuffix(sender, verpSuffix)
	return found && route.DomainOf(rest) != "" && strings.IndexByte(rest, '@') >= 0
}

// ExpandSender returns the sender that a delivery to recipient, as rewritten
// by routing, is given: P@H-@[] becomes P user=host @H (spec 2.3).
func ExpandSender(sender, recipient string) string {
	rest := strings.TrimSuffix(sender, verpSuffix)
	at := strings.LastIndexByte(rest, '@')
	split := strings.LastIndexByte(recipient, '@')
	if !IsVERP(sender) || split < 0 {
		return sender
	}
	return rest[:at] + recipient[:split] + "=" + recipient[split+1:] + rest[at:]
}

// ReturnTo returns the address that bounces of a message from sender go
// to: P@H for P@H-@[] (spec 2.6). What would leave no address stays whole: a
// bounce to it fails and reaches the postmaster, where one that cannot be
// submitted would be tried for ever.
func ReturnTo(sender string) string {
	rest, found := strings.CutSuffix(sender, verpSuffix)
	if _, err := address.New(rest); !found || rest == "" || err != nil {
		return sender
	}
	return rest
}
