package commands

import (
	"os"
	"strings"
	"testing"
)

func TestReceipt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, message, sender string
		asked                 bool
	}{
		{"asked", "Notice-Requested-Upon-Delivery-To: joe@y\n\n", "s@x", true},
		{"one of several", "Message-Id: <1@x>\nnotice-requested-upon-delivery-to: amy@y, (him)\n \"joe\"@y\nSubject: x\n\n", "s@x", true},
		{"another", "Notice-Requested-Upon-Delivery-To: amy@y\n\n", "s@x", false},
		{"other letters", "Notice-Requested-Upon-Delivery-To: JOE@y\n\n", "s@x", false},
		{"not asked", "Subject: x\n\nNotice-Requested-Upon-Delivery-To: joe@y\n", "s@x", false},
		{"a bounce", "Notice-Requested-Upon-Delivery-To: joe@y\n\n", "", false},
		{"a double bounce", "Notice-Requested-Upon-Delivery-To: joe@y\n\n", "#@[]", false},
		{"a field that does not end well", "Notice-Requested-Upon-Delivery-To: joe@y, <\n\n", "s@x", true},
	} {
		environ, dir := queue(t, 0)
		code, _, said := runWith(t, Receipt, c.message, append(environ[1:], "SENDER="+c.sender), "joe@y")
		_, err := os.Stat(dir + "/message")
		if code != 0 || (err == nil) != c.asked {
			t.Errorf("%s: %d, %v; %s", c.name, code, err, said)
		}
		if err != nil {
			continue
		}
		if got := read(t, dir+"/envelope"); got != "F\x00Ts@x\x00\x00" {
			t.Errorf("%s: envelope %q", c.name, got)
		}
		text := read(t, dir+"/message")
		if !strings.Contains(text, "From: DELIVERY NOTICE SYSTEM <s@x>\nTo: <s@x>\nSubject: success notice\n") || !strings.Contains(text, "joe@y") ||
			strings.Contains(text, "<1@x>") != strings.Contains(c.message, "<1@x>") {
			t.Errorf("%s: %s", c.name, text)
		}
	}
	for queueExit, want := range map[int]int{31: 100, 53: 111} {
		environ, _ := queue(t, queueExit)
		if code, _, _ := runWith(t, Receipt, "Notice-Requested-Upon-Delivery-To: joe@y\n\n", environ, "joe@y"); code != want {
			t.Errorf("the queue exits %d: %d", queueExit, code)
		}
	}
	if code, _, _ := run(t, Receipt, nil, "joe@y"); code != 100 {
		t.Errorf("without SENDER: %d", code)
	}
}
