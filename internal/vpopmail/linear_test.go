package vpopmail

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: a record of the largest size that a database has.
func TestUserIsLinear(t *testing.T) {
	lineartest.Check(t, 1<<20, func(data string) {
		if u, err := parseUser("joe", data); err == nil {
			_, _ = u.Limit() // whether it is valid does not matter here
		}
	}, lineartest.Units(":", "a", "9", "S,", "/", "x:1:1:"), lineartest.Around("x:1:16:Joe:/d/joe:10000000S,1000C:clear"))
}
