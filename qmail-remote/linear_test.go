package qmailremote

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: servers that say 4 MiB: replies without an end, and in endless numbers.
func TestServersAreHeardInLinearTime(t *testing.T) {
	var inputs []lineartest.Input
	for _, head := range []string{"", "220 a\r\n", "220 a\r\n250-b\r\n", "220 a\r\n250 b\r\n250 c\r\n250 d\r\n250 e\r\n354 f\r\n250-"} {
		for _, unit := range []string{"a", "\r\n", "\n", "250-a\r\n", "250 a\r\n", "250-LIMITS RCPTMAX=1\r\n", "250-AUTH PLAIN LOGIN\r\n", "250-SIZE 1\r\n", "354 a\r\n", "421 a\r\n", "2", "\x00", "250-" + strings.Repeat("a ", 400) + "\r\n"} {
			inputs = append(inputs, lineartest.Input{Head: head, Unit: unit})
		}
	}
	lineartest.Check(t, lineartest.Size, func(words string) {
		hearServer(t, words, settings{chunking: true}, "..\n.")
		hearServer(t, words, settings{tables: routeTables{lmtp: map[string]string{"d": "127.0.0.1|joe|secret"}}}, "..\n.")
	}, inputs)
}

// R43: what replies and lines of control files hold.
func TestWordsAreLinear(t *testing.T) {
	lineartest.Check(t, 64<<10, func(text string) {
		parseExtensions(text)
		parseLimits(text)
		_, _ = parseChallenge(text) // what it says does not matter here
		if strings.TrimSpace(text) != "" {
			_, _ = parseSource(text)
		}
		_, _, _ = (&settings{routes: map[string]string{"": text}}).domainRoute("x.example")
	}, lineartest.Units("250-SIZE 1\n", "\n", " ", "a", "A=1 ", "|", ":", "[", "334-AAAA\n", "=", "a|b|c "),
		lineartest.Around("250-a\n250-LIMITS RCPTMAX=1 MAILMAX=2\n250 AUTH PLAIN\n", "[IPv6:::1]:25|a|b", "192.0.2.1 helo=a from=b to=c"))
}
