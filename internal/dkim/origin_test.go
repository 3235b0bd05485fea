package dkim

import (
	"strings"
	"testing"
)

func TestAuthor(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"From: joe@Example.ORG\n\n":                                "example.org",
		"from :Joe <joe@example.org> (x@y.example)\n\n":            "example.org",
		"FROM: \"a@b.example\" <joe@\n example.org>\n\n":           "example.org",
		"From: joe@example.org, jim@EXAMPLE.org\n\n":               "example.org",
		"From: joe@example.org, jim@example.net\n\n":               "",
		"From: joe@example.org\nFrom: joe@example.org\n\n":         "",
		"From: joe@example.org\nSubject: x\nfrom: x@example.net\n": "",
		"From: joe\n\n":                            "",
		"From: \n\n":                               "",
		"From:\n":                                  "",
		"Subject: x\n\nFrom: joe@example.org\n":    "",
		"":                                         "",
		"From: us: joe@example.org;\n\n":           "example.org",
		"From: <joe@example.org\n\n":               "",
		"From: joe@b\u00fccher.example\n\n":        "xn--bcher-kva.example",
		"From: joe@xn--bcher-kva.example\n\n":      "xn--bcher-kva.example",
		"Reply-To: a@b.example\nFrom: x@c.example": "c.example",
		"From: joe@example.org\r\nSubject: x\r\n\r\nFrom: x@example.net\r\n": "example.org",
		"From: joe@[192.0.2.1]\n\n": "[192.0.2.1]",
	} {
		h, err := ReadHeader(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Author(); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestTravelled(t *testing.T) {
	t.Parallel()
	const own = "Received: (qmail 1 invoked by uid 1000); now\n"
	for in, want := range map[string]bool{
		own + letter:                              false,
		letter:                                    false,
		own + "Received: from x\n" + letter:       true,
		own + "Delivered-To: x\n" + letter:        true,
		own + letter + "\nReceived: from x\n":     false,
		own + "RECEIVED : from x\n" + letter:      true,
		own + "Subject: x\n Received: y\n" + own:  true,
		own + "Subject: x\n Received: y\n" + "\n": false,
	} {
		h, err := ReadHeader(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Travelled(); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}
