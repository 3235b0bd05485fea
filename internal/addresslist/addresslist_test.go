package addresslist

import (
	"testing"

	"postrider/internal/address"
)

func TestHas(t *testing.T) {
	t.Parallel()
	list := New([]string{"Joe@Example.com", "@spam.example", "nodomain"})
	for text, want := range map[string]bool{
		"joe@example.com": true, "JOE@EXAMPLE.COM": true, "jim@example.com": false, "any@SPAM.example": true,
		"x@sub.spam.example": false, "spam.example": false, "nodomain": true, "": false, "a@b@spam.example": true,
	} {
		a, err := address.New(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Has(a); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
		if (List)(nil).Has(a) {
			t.Errorf("%q is in an empty list", text)
		}
	}
}
