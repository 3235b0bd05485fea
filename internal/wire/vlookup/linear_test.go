package vlookup

import (
	"postrider/internal/accounts"
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestQuestionsAreLinear(t *testing.T) {
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		_, _ = parseQuestion([]byte(text)) // whether it is valid does not matter here
	}, lineartest.Units("\x00", "H", "/", "a"), lineartest.Around(string(appendQuestion(nil, accounts.Recipient{Home: "/h", Dash: "-", Ext: "joe"}))))
}
