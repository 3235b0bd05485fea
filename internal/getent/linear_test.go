package getent

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: what getent says, for as many names as it is asked for.
func TestJudgeIsLinear(t *testing.T) {
	names := make([]string, MaxNames)
	for i := range names {
		names[i] = string(rune('a' + i))
	}
	lineartest.Check(t, MaxNames*maxOutput, func(output string) {
		_, _ = judge("joe", "canary", true, output, 2) // what it says does not matter here
		judgeAll(names, "canary", true, output, 0)
	}, lineartest.Units("joe:x:1001:1002:Joe:/home/joe:/bin/sh\n", "\n", ":", "a\n", "a:x:1:1::/:\n", "canary\n"), lineartest.Around("joe:x:1:1::/:\ncanary:x:1:1::/:\n"))
}
