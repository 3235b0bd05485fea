package bounce

import (
	"testing"

	"postrider/internal/address"
)

func TestExpandSender(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, sender, recipient, want, bounceTo string }{
		{"A.1", "list-@h.org-@[]", "o@v2.example.org", "list-o=v2.example.org@h.org", "list-@h.org"},
		{"the prepend leaks", "list-@h.org-@[]", "joe-v-info@virt.example.org", "list-joe-v-info=virt.example.org@h.org", "list-@h.org"},
		{"last @ of the recipient", "l@h-@[]", "a@b@c", "la@b=c@h", "l@h"},
		{"last @ of the sender", "l@x@h-@[]", "a@c", "l@xa=c@h", "l@x@h"},
		{"no earlier @", "list-@[]", "a@c", "list-@[]", "list"},
		{"plain", "joe@h.org", "a@c", "joe@h.org", "joe@h.org"},
		{"null", "", "a@c", "", ""},
		{"empty host", "a@-@[]", "x@c", "a@-@[]", "a@-@[]"},
		{"empty host behind another", "a@b@-@[]", "x@c", "a@b@-@[]", "a@b@-@[]"},
		{"nothing else", "-@[]", "x@c", "-@[]", "-@[]"},
		{"double bounce", "#@[]", "a@c", "#@[]", "#@[]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := ExpandSender(tc.sender, tc.recipient); got != tc.want {
				t.Errorf("expandSender = %q, want %q", got, tc.want)
			}
			if got := ReturnTo(tc.sender); got != tc.bounceTo {
				t.Errorf("bounceSender = %q, want %q", got, tc.bounceTo)
			}
			if got, want := IsVERP(tc.sender), tc.want != tc.sender; got != want {
				t.Errorf("isVERP = %v", got)
			}
		})
	}
}

func FuzzExpandSender(f *testing.F) {
	f.Add("joe-v-info@virt.example.org", "list-@h.org-@[]")
	f.Add("noat", "-@[]")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, recipient, sender string) {
		ExpandSender(sender, recipient)
		if to := ReturnTo(sender); sender != "" && to == "" {
			t.Errorf("bounces to %q go to nobody", sender)
		} else if _, err := address.New(sender); err == nil {
			if _, err := address.New(to); err != nil {
				t.Errorf("bounces to %q go to %q: %v", sender, to, err)
			}
		}
	})
}
