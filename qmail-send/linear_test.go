package qmailsend

import (
	"postrider/internal/address"
	"postrider/internal/lineartest"
	"testing"
)

// R43: reports of other hosts, and addresses.
func TestBouncesAreLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(report string) { paragraph("a@b", report) },
		lineartest.Units("\n", "a", "\n\n", " \n", "\xff", "a\n"), lineartest.Around("hard\n\nerr\n"))
	lineartest.Check(t, address.MaxLen, func(text string) {
		expandSender(text, "joe-v-info@virt.example.org")
		expandSender("list-@h.org-@[]", text)
		bounceSender(text)
		paragraph(text, "x")
	}, lineartest.Units("@", "-", "a", "-@[]", "\n"), lineartest.Around("list-@h.org-@[]"))
}
