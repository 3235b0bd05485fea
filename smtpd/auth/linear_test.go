package auth

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: a file of passwords. What their hashes cost is bounded elsewhere: no
// password is compared here.
func TestBookIsLinear(t *testing.T) {
	var around []string
	for _, v := range vectors {
		around = append(around, "joe:"+v.hash+"\n")
	}
	secret := make([]byte, keySize)
	lineartest.Check(t, lineartest.Size, func(text string) { parseBook(text, secret) },
		lineartest.Units("joe:x\n", "\n", ":", "#\n", "a", "$", "joe:$1$a$b\n", "\x00"), lineartest.Around(around[:min(len(around), 6)]...))
}
