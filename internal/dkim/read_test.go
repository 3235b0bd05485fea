package dkim

import (
	"bytes"
	"strings"
	"testing"
)

// TestKnownHeader: a header that was parsed before, and the body behind it, are
// the message as Read has it.
func TestKnownHeader(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"", "Subject: x\n", "From: a@b.example\nSubject: x\n y\nTo: c@d.example\n", "no field\n", "Last: one"} {
		for _, body := range []string{"", "x\n", "x \n\n\ny\n\n", "x\r\ny\rz", strings.Repeat("A line \t of text.\n", 5000)} {
			if body != "" && !strings.HasSuffix(head, "\n") && head != "" {
				continue // such a header is all of its message
			}
			whole, err := Read(strings.NewReader(head + "\n" + body))
			if err != nil {
				t.Fatal(err)
			}
			h, err := ParseHeader([]byte(head))
			if err != nil {
				t.Fatal(err)
			}
			m, err := h.WithBody(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(body, "\r") && !bytes.Equal(h.WithText([]byte(body)).bodyHash, whole.bodyHash) {
				t.Errorf("%q, %.20q: the text has another hash", head, body)
			}
			if !bytes.Equal(m.bodyHash, whole.bodyHash) {
				t.Errorf("%q, %.20q: the body has another hash", head, body)
			}
			names, relaxed, err := m.cover()
			wantNames, wantRelaxed, wantErr := whole.cover()
			if strings.Join(names, ":") != strings.Join(wantNames, ":") || !bytes.Equal(relaxed, wantRelaxed) || err != wantErr || h.Fields() != len(whole.fields) {
				t.Errorf("%q: %q, %q, %v", head, names, relaxed, err)
			}
		}
	}
	long := []byte(strings.Repeat("X: y\n", MaxHeader/5+1))
	if h, err := ParseHeader(long); err != ErrLongHeader || h.Fields() == 0 {
		t.Errorf("%d fields, %v", h.Fields(), err)
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"TLS-Required: No\n":              " No",
		"A: b\ntls-required : x\n y\n":    " x\n y",
		"TLS-Required: a\nTLS-REQUIRED:b": "",
		"Not-TLS-Required: a\n":           "",
	} {
		h, err := ParseHeader([]byte(text))
		if got, one := h.Only("tls-required"); err != nil || got != want || one != (want != "") {
			t.Errorf("%q: %q, %v, %v", text, got, one, err)
		}
	}
}
