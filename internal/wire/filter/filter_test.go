package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestVariables(t *testing.T) {
	t.Parallel()
	entries := []string{"TCPREMOTEIP=192.0.2.1", "SMTPHELOHOST=a b=c", "RELAYCLIENT="}
	got, ip, err := ParseVariables(AppendVariables(nil, entries))
	if err != nil || !slices.Equal(got, entries) || ip.String() != "192.0.2.1" {
		t.Errorf("%q, %v, %v", got, ip, err)
	}
	most := "TCPREMOTEIP=192.0.2.1\x00SMTPHELOHOST=\t"
	most += strings.Repeat("x", MaxVariables-len(most)-1) + "\x00"
	if _, _, err := ParseVariables([]byte(most)); err != nil {
		t.Errorf("%d bytes: %v", len(most), err)
	}
	most = strings.Replace(most, "x", "xx", 1)
	if _, _, err := ParseVariables([]byte(most)); err == nil {
		t.Errorf("%d bytes were taken", len(most))
	}
}

func TestVariablesRefused(t *testing.T) {
	t.Parallel()
	ip := "TCPREMOTEIP=192.0.2.1\x00"
	for name, block := range map[string]string{
		"nothing": "", "no address": "PROTO=TCP\x00", "an address that is none": "TCPREMOTEIP=unknown\x00",
		"not ended": ip + "PROTO=TCP", "no value": ip + "PROTO\x00", "twice": ip + ip,
		"a program": ip + "QMAILQUEUE=/bin/sh\x00", "for the loader": ip + "LD_PRELOAD=/tmp/x\x00", "for the shell": ip + "PATH=/tmp\x00",
		"empty": ip + "\x00", "line end": ip + "SMTPHELOHOST=a\nb\x00", "control": ip + "SMTPHELOHOST=a\x7f\x00", "control in front": ip + "SMTPHELOHOST=\na\x00",
		"too long": ip + "SMTPHELOHOST=" + strings.Repeat("x", MaxVariables) + "\x00",
	} {
		if got, _, err := ParseVariables([]byte(block)); err == nil {
			t.Errorf("%s: taken as %q", name, got)
		}
	}
	if _, _, err := ParseVariables([]byte("TCPREMOTEIP=unknown\x00")); !errors.Is(err, ErrVariables) || !strings.Contains(err.Error(), `"unknown"`) {
		t.Errorf("the error does not say what the address is: %v", err)
	}
}

func FuzzVariables(f *testing.F) {
	f.Add([]byte("TCPREMOTEIP=192.0.2.1\x00SMTPHELOHOST=x\x00"))
	f.Add([]byte("TCPREMOTEIP=::1\x00RELAYCLIENT=\x00PROTO=TCP\x00"))
	f.Fuzz(func(t *testing.T, block []byte) {
		entries, ip, err := ParseVariables(block)
		if err != nil {
			return
		}
		if !ip.IsValid() || string(AppendVariables(nil, entries)) != string(block) {
			t.Errorf("%q became %q, %v", block, entries, ip)
		}
		for _, entry := range entries {
			if name, _, _ := strings.Cut(entry, "="); !slices.Contains(Names, name) || strings.ContainsAny(entry, "\x00\r\n") {
				t.Errorf("took %q", entry)
			}
		}
	})
}
