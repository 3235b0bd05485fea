package bounce

import (
	"postrider/internal/address"
	"postrider/internal/lineartest"
	"testing"
)

// R43: reports of other hosts, and addresses.
func TestBouncesAreLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(report string) { Paragraph("a@b", report) },
		lineartest.Units("\n", "a", "\n\n", " \n", "\xff", "a\n"), lineartest.Around("hard\n\nerr\n"))
	lineartest.Check(t, address.MaxLen, func(text string) {
		ExpandSender(text, "joe-v-info@virt.example.org")
		ExpandSender("list-@h.org-@[]", text)
		ReturnTo(text)
		Paragraph(text, "x")
	}, lineartest.Units("@", "-", "a", "-@[]", "\n"), lineartest.Around("list-@h.org-@[]"))
}
