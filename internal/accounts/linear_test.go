package accounts

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: tables of users, in all their forms.
func TestTablesAreReadInLinearTime(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		// Whether anything is valid does not matter here.
		all := newLines([]byte(text), stamp{})
		for _, name := range []string{"joe", "", "z"} {
			_, _, _ = all.line(name)
		}
		_, _ = ParsePasswd(text)
		parseSources(text)
		_, _ = parseUser([]byte(text))
		_ = CompileAssign(strings.NewReader(text), func(Record) error { return nil })
	}, lineartest.Units("joe:x:1:1::/:\n", "\n", ":", "a\n", "\x00", "=joe:joe:1:1:/:::\n", "+a-:joe:1:1:/:-::\n", "passwd: ", "[", " ", "[a=b] ", "#"),
		lineartest.Around("joe:x:1:1::/:\n", "+a-:joe:1:1:/:-::\n.\n", "passwd: files [NOTFOUND=return] ldap\n"))
}
