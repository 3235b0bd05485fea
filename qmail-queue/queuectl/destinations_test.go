package queuectl

import (
	"encoding/json"
	"strings"
	"testing"

	"postrider/internal/wire/manage"
)

func TestShownDestination(t *testing.T) {
	t.Parallel()
	d := shownDestination(manage.Destination{
		Name: "mx.a.test,mx.b.test", Domains: 3, Standing: manage.Down, Waiting: 200, Window: 1, Limit: 20, Rate: "1800/h", Distance: 2000,
		Since: 1795000000, Next: 1795000060, Reason: "no \x1b[31mconnection",
	})
	want := "down       200 waiting    0 of 1    mx.a.test,mx.b.test (3 domains)\n" +
		"       since 2026-11-18 11:06:40 UTC, at most 20, rate 1800/h, one in 2s, next probe 2026-11-18 11:07:40 UTC\n" +
		"       no _[31mconnection\n"
	if got := d.words(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	text, err := json.Marshal(d)
	if err != nil || !strings.Contains(string(text), `"state":"down","waiting":200,"in_flight":0,"deliveries":0,"limit":1,"connections":20,"rate":"1800/h","distance_seconds":2,"since":"2026-11-18T11:06:40Z"`) {
		t.Errorf("%s, %v", text, err)
	}
	well := shownDestination(manage.Destination{Name: "d.test", Domains: 1, Standing: manage.Well, Jobs: 2, Window: 5})
	if got := well.words(); got != "well         0 waiting    2 of 5    d.test\n" {
		t.Errorf("got %q", got)
	}
	home, _ := newHome(t)
	if code, _, stderr := call(t, home, "destinations", "--json"); code != exitTemporary || !strings.Contains(stderr, "qmail-send does not run") {
		t.Errorf("nobody there: exit %d, %s", code, stderr)
	}
	if code, _, _ := call(t, home, "destinations", "x"); code != exitMisused {
		t.Errorf("an operand: exit %d", code)
	}
}
