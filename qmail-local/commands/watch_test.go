package commands

import (
	"os"
	"strings"
	"testing"

	"postrider/internal/clock"
)

func TestWatchPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := clock.Real().Now()
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(dir+"/"+sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range []struct{ name, text string }{
		{"new/b", "Return-Path: <a@b>\nDelivered-To: joe@x\nFrom: A\n B\nSubject: \x1b[2Jhi\n\nhello\nyou\n"},
		{"new/a", "Subject: later\n\n" + strings.Repeat("x", 200)},
		{"new/c", "X: " + strings.Repeat("x", maxHead)},
		{"cur/d", "Subject: seen\n\n"},
		{"new/.e", "Subject: hidden\n\n"},
	} {
		path := dir + "/" + m.name
		if err := os.WriteFile(path, []byte(m.text), 0o600); err != nil {
			t.Fatal(err)
		}
		when := now.AddDate(0, 0, i-10)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	const want = "TO joe@x FROM <a@b>\r\nFrom: A B\r\n[2Jhi/hello/you/\r\n\r\n"
	got, err := watchPage(dir, now)
	if err != nil || !strings.HasPrefix(got, want+"TO  FROM \r\nFrom: \r\nlater/xxx") ||
		!strings.HasSuffix(got, "xxx\r\n\r\nmessage with a long header\r\n\r\n") || strings.Contains(got, "seen") || strings.Contains(got, "hidden") {
		t.Errorf("%v, got %q", err, got)
	}
	if code, _, said := run(t, MaildirWatch, nil); code != exitLater || !strings.Contains(said, "MAILDIR is not set") {
		t.Errorf("exit %d, %q", code, said)
	}
	if code, _, said := run(t, MaildirWatch, []string{"MAILDIR=" + dir + "/none"}); code != exitLater || !strings.Contains(said, "no such file") {
		t.Errorf("exit %d, %q", code, said)
	}
}
