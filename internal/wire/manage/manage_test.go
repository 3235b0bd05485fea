package manage

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
)

func number(n int) queuedir.ID { return queuedir.NewID(time.UnixMicro(1795000000123456), n/100, n) }

var questions = []Question{
	{Kind: List},
	{Kind: Scan},
	{Kind: Shaping},
	{Kind: Taken},
	{Kind: Describe, IDs: []queuedir.ID{number(1), number(2)}},
	{Kind: Change, Order: Order{Kind: Hold, Text: "spam?", Targets: []Target{{ID: number(1)}}}},
	{Kind: Change, Order: Order{Kind: Release, Targets: []Target{{ID: number(1)}, {ID: number(2)}}}},
	{Kind: Change, Order: Order{Kind: TryNow, Targets: []Target{{ID: number(1)}}}},
	{Kind: Change, Order: Order{Kind: Delete, Targets: []Target{{ID: number(1), Recipients: []int{0, 5, 1<<31 - 1}}}}},
	{Kind: Change, Order: Order{Kind: Bounce, Text: "no", Targets: []Target{{ID: number(3)}}}},
	{Kind: Change, Order: Order{Kind: Readdress, Text: "a@example.org", Targets: []Target{{ID: number(3), Recipients: []int{1}}}}},
	{Kind: Change, Order: Order{Kind: Reroute, Text: "[2001:db8::1]:25", Targets: []Target{{ID: number(3)}}}},
	{Kind: Change, Order: Order{Kind: Reroute, Targets: []Target{{ID: number(3)}}}},
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		packet := q.Append(nil)
		got, err := DecodeQuestion(packet)
		if err != nil || !reflect.DeepEqual(got, q) {
			t.Errorf("got %+v, %v, want %+v", got, err, q)
		}
		for n := range packet {
			if _, err := DecodeQuestion(packet[:n]); err == nil {
				t.Errorf("%q cut at %d was taken", packet, n)
			}
		}
	}
}

func TestQuestionsRefused(t *testing.T) {
	t.Parallel()
	many := make([]int, MaxRecipients+1)
	for i := range many {
		many[i] = i
	}
	one := []Target{{ID: number(1)}}
	for name, q := range map[string]Question{
		"no message":              {Kind: Change, Order: Order{Kind: Hold}},
		"recipients to hold":      {Kind: Change, Order: Order{Kind: Hold, Targets: []Target{{number(1), []int{0}}}}},
		"a text to release":       {Kind: Change, Order: Order{Kind: Release, Text: "x", Targets: one}},
		"a text to delete":        {Kind: Change, Order: Order{Kind: Delete, Text: "x", Targets: one}},
		"a control character":     {Kind: Change, Order: Order{Kind: Bounce, Text: "x\ny", Targets: one}},
		"too long a text":         {Kind: Change, Order: Order{Kind: Bounce, Text: strings.Repeat("x", MaxText+1), Targets: one}},
		"no address":              {Kind: Change, Order: Order{Kind: Readdress, Targets: one}},
		"an address without host": {Kind: Change, Order: Order{Kind: Readdress, Text: "alice", Targets: one}},
		"an address with a line":  {Kind: Change, Order: Order{Kind: Readdress, Text: "a@b\n", Targets: one}},
		"a password":              {Kind: Change, Order: Order{Kind: Reroute, Text: "host|user|password", Targets: one}},
		"a host with a blank":     {Kind: Change, Order: Order{Kind: Reroute, Text: "a b", Targets: one}},
		"an unknown order":        {Kind: Change, Order: Order{Kind: '?', Targets: one}},
		"not going up":            {Kind: Change, Order: Order{Kind: Delete, Targets: []Target{{number(1), []int{2, 1}}}}},
		"twice":                   {Kind: Change, Order: Order{Kind: Delete, Targets: []Target{{number(1), []int{2, 2}}}}},
		"too many recipients":     {Kind: Change, Order: Order{Kind: Delete, Targets: []Target{{number(1), many}}}},
		"recipients beyond all":   {Kind: Change, Order: Order{Kind: Delete, Targets: []Target{{number(1), []int{1 << 31}}}}},
		"too many messages":       {Kind: Change, Order: Order{Kind: Hold, Targets: slices.Repeat(one, MaxTargets+1)}},
		"the character DEL":       {Kind: Change, Order: Order{Kind: Bounce, Text: "\x7f", Targets: one}},
		"nothing to describe":     {Kind: Describe},
		"too many to describe":    {Kind: Describe, IDs: slices.Repeat([]queuedir.ID{number(1)}, MaxDescribed+1)},
		"no number":               {Kind: Describe, IDs: make([]queuedir.ID, 1)},
		"an unknown question":     {Kind: '?'},
	} {
		if _, err := DecodeQuestion(q.Append(nil)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, q := range map[string]Question{
		"messages to describe": {Kind: Describe, IDs: slices.Repeat([]queuedir.ID{number(1)}, MaxDescribed)},
		"messages to hold":     {Kind: Change, Order: Order{Kind: Hold, Text: " ", Targets: slices.Repeat(one, MaxTargets)}},
		"recipients to delete": {Kind: Change, Order: Order{Kind: Delete, Targets: []Target{{number(1), many[:MaxRecipients]}}}},
	} {
		if got, err := DecodeQuestion(q.Append(nil)); err != nil || !reflect.DeepEqual(got, q) {
			t.Errorf("the most %s: %v", name, err)
		}
	}
	if _, err := DecodeQuestion(append(questions[0].Append(nil), 0)); err == nil {
		t.Error("bytes behind a question were taken")
	}
}

func FuzzQuestion(f *testing.F) {
	for _, q := range questions {
		f.Add(q.Append(nil))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		q, err := DecodeQuestion(packet)
		if err != nil {
			return
		}
		if again := q.Append(nil); !bytes.Equal(again, packet) {
			t.Errorf("%q reads as %+v, which is %q", packet, q, again)
		}
		if len(q.IDs) > MaxDescribed || len(q.Order.Targets) > MaxTargets || len(q.Order.Text) > MaxText {
			t.Errorf("beyond the limits: %+v", q)
		}
	})
}

// What an answer says arrives as it was, but for texts that are too long.
func TestAnswersArrive(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	full := Destination{Name: "a.test,b.test", Domains: 3, Standing: Slowed, Waiting: 1 << 20, Jobs: 1, Deliveries: 2, Window: 3, Limit: 4, Distance: 5, Rate: "6/m", Since: 7, Next: 8, Reason: "no"}
	for _, c := range []struct {
		packet []byte
		want   Answer
	}{
		{[]byte{End}, Answer{Kind: End}},
		{AppendStates(nil, []State{{number(1), Deferred, 1795000000, 3, 4}}), Answer{Kind: States, States: []State{{number(1), Deferred, 1795000000, 3, 4}}}},
		{AppendFound(nil, []bool{true, false}), Answer{Kind: Files, Found: []bool{true, false}}},
		{AppendResults(nil, []Result{{number(1), Later, long}, {number(2), Done, ""}}), Answer{Kind: Results, Results: []Result{{number(1), Later, long[:maxSaid]}, {number(2), Done, ""}}}},
		{AppendRefusal(nil, long), Answer{Kind: Refusal, Text: long[:maxSaid]}},
		{AppendDestinations(nil, []Destination{full}), Answer{Kind: Destinations, Destinations: []Destination{full}}},
		{AppendDestinations(nil, []Destination{{Name: long, Standing: Well, Rate: long, Reason: long}}),
			Answer{Kind: Destinations, Destinations: []Destination{{Name: long[:maxName], Standing: Well, Rate: long[:maxRateWord], Reason: long[:maxSaid]}}}},
	} {
		if got, err := DecodeAnswer(c.packet); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("got %+v, %v, want %+v", got, err, c.want)
		}
	}
	for name, packet := range map[string]string{
		"an unknown answer": "?", "too many states": "l\xff\xff", "no number": "l\x00\x01" + strings.Repeat("x", stateSize),
		"an unknown standing": string(AppendDestinations(nil, []Destination{{Standing: 'x'}})),
	} {
		if a, err := DecodeAnswer([]byte(packet)); err == nil {
			t.Errorf("%s was taken: %+v", name, a)
		}
	}
}

// What fits into a packet fills it to the last byte.
func TestFitExactly(t *testing.T) {
	t.Parallel()
	const most = MaxPacket - 3
	results := make([]Result, 0, maxResults+1)
	each := len(AppendResults(nil, make([]Result, 1))) - 3
	for room := most; room >= each; room -= each + maxSaid {
		results = append(results, Result{Text: strings.Repeat("x", min(maxSaid, room-each))})
	}
	if packet := AppendResults(nil, results); len(packet) != MaxPacket || ResultsFit(results) != len(results) {
		t.Errorf("%d results of %d fit, which have %d bytes", ResultsFit(results), len(results), len(packet))
	}
	results[0].Text, results[len(results)-1].Text = results[len(results)-1].Text+"x", results[0].Text
	if n := ResultsFit(results); n != len(results)-1 {
		t.Errorf("%d results of %d fit with a byte more", n, len(results))
	}
	if n := ResultsFit(make([]Result, maxResults)); n != maxResults {
		t.Errorf("%d results without a text fit", n)
	}
	if n := ResultsFit(make([]Result, maxResults+1)); n != maxResults {
		t.Errorf("%d results fit, the most are %d", n, maxResults)
	}
	var all []Destination
	each = len(AppendDestinations(nil, make([]Destination, 1))) - 3
	for room := most; room >= each; room -= each + maxName {
		all = append(all, Destination{Name: strings.Repeat("n", min(maxName, room-each))})
	}
	if packet := AppendDestinations(nil, all); len(packet) != MaxPacket || DestinationsFit(all) != len(all) {
		t.Errorf("%d destinations of %d fit, which have %d bytes", DestinationsFit(all), len(all), len(packet))
	}
	all[len(all)-1].Reason = "x"
	if n := DestinationsFit(all); n != len(all)-1 {
		t.Errorf("%d destinations of %d fit with a byte more", n, len(all))
	}
	if n := DestinationsFit(make([]Destination, most/each+1)); n != most/each || n >= maxDestinations {
		t.Errorf("%d destinations without a name fit", n)
	}
	if n := DestinationsFit(slices.Repeat([]Destination{{Name: strings.Repeat("n", MaxPacket)}}, 2)); n != 2 {
		t.Errorf("%d destinations fit whose names are cut", n)
	}
	q := Question{Kind: Change, Order: Order{Kind: Bounce, Text: "no", Targets: []Target{{ID: number(1)}, {ID: number(2), Recipients: []int{1, 2, 3}}}}}
	if got, want := len(q.Append(nil)), MaxPacket-Room("no")+q.Order.Targets[0].Size()+q.Order.Targets[1].Size(); got != want {
		t.Errorf("an order has %d bytes, by its sizes %d", got, want)
	}
}

func answers() [][]byte {
	return [][]byte{
		{End},
		AppendStates(nil, []State{{number(1), Deferred, 1795000000, 3, 0}, {number(2), InHand, 0, 1, 20}}),
		AppendFound(nil, []bool{true, false, true}),
		AppendResults(nil, []Result{{number(1), Done, ""}, {number(2), Later, "a delivery is under way"}}),
		AppendRefusal(nil, "only root may do that"),
		AppendDestinations(nil, []Destination{
			{Name: "a.test,b.test", Domains: 3, Standing: Down, Waiting: 1 << 20, Jobs: 1, Deliveries: 2, Window: 3, Limit: 4, Distance: 5, Rate: "6/m", Since: 7, Next: 8, Reason: "no"},
			{Standing: Well},
		}),
	}
}

func FuzzAnswer(f *testing.F) {
	for _, a := range answers() {
		f.Add(a)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		a, err := DecodeAnswer(packet)
		if err == nil && (len(a.States) > MaxStates || len(a.Found) > MaxDescribed || len(a.Results) > maxResults || len(a.Destinations) > maxDestinations) {
			t.Errorf("beyond the limits: %+v", a)
		}
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, packet := range answers() {
		if _, err := DecodeAnswer(packet); err != nil {
			t.Errorf("%q: %v", packet, err)
		}
		for n := range packet {
			if _, err := DecodeAnswer(packet[:n]); err == nil {
				t.Errorf("%q cut at %d was taken", packet, n)
			}
		}
	}
}

// TestFull: the largest packets fit.
func TestFull(t *testing.T) {
	t.Parallel()
	if n := len(AppendStates(nil, make([]State, MaxStates))); n > MaxPacket {
		t.Errorf("states: %d bytes", n)
	}
	results := make([]Result, 3000)
	for i := range results {
		results[i].Text = strings.Repeat("x", i)
	}
	for len(results) > 0 {
		n := ResultsFit(results)
		if n == 0 || len(AppendResults(nil, results[:n])) > MaxPacket {
			t.Fatalf("%d results: %d bytes", n, len(AppendResults(nil, results[:n])))
		}
		results = results[n:]
	}
	all := make([]Destination, 3000)
	for i := range all {
		all[i] = Destination{Name: strings.Repeat("n", i), Standing: Well, Reason: strings.Repeat("r", i)}
	}
	for len(all) > 0 {
		n := DestinationsFit(all)
		packet := AppendDestinations(nil, all[:n])
		if a, err := DecodeAnswer(packet); n == 0 || len(packet) > MaxPacket || err != nil || len(a.Destinations) != n {
			t.Fatalf("%d destinations: %d bytes, %v", n, len(packet), err)
		}
		all = all[n:]
	}
	text := strings.Repeat("x", MaxText)
	var targets []Target
	for room, target := Room(text), (Target{ID: number(1), Recipients: []int{1, 2, 3}}); room >= target.Size(); room -= target.Size() {
		targets = append(targets, target)
	}
	q := Question{Kind: Change, Order: Order{Kind: Bounce, Text: text, Targets: targets}}
	if n := len(q.Append(nil)); n > MaxPacket || n < MaxPacket-100 {
		t.Errorf("a full order has %d bytes", n)
	}
}

// serve answers one client as the packets say, each with files.
func serve(t *testing.T, packets [][]byte, files ...*os.File) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	l := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { l.Close() })
	go func() {
		f, err := fdpass.Accept(l)
		if err != nil {
			return
		}
		defer f.Close()
		p, err := fdpass.NewPackets(f)
		if err != nil {
			return
		}
		if _, _, err := p.Receive(make([]byte, MaxPacket), 0); err != nil {
			return
		}
		handed := len(files) > 0
		for _, packet := range packets {
			if p.Send(packet, files...) != nil {
				return
			}
			files = nil
		}
		if handed {
			_, _, _ = p.Receive(make([]byte, MaxPacket), 0) // that they are taken
		}
	}()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestClient(t *testing.T) {
	t.Parallel()
	var got []State
	c := serve(t, [][]byte{answers()[1], answers()[1], {End}})
	if err := c.List(func(s []State) error { got = append(got, s...); return nil }); err != nil || len(got) != 4 {
		t.Errorf("%v, %v", got, err)
	}
	var where []Destination
	c = serve(t, [][]byte{answers()[5], {End}})
	if err := c.Destinations(func(d []Destination) error { where = append(where, d...); return nil }); err != nil || len(where) != 2 || where[0].Rate != "6/m" || where[0].Next != 8 {
		t.Errorf("%+v, %v", where, err)
	}
	c = serve(t, [][]byte{AppendRefusal(nil, "no")})
	if err := c.Scan(); err == nil || err.Error() != "qmail-send: no" {
		t.Errorf("refused: %v", err)
	}
	c = serve(t, [][]byte{answers()[1]})
	if err := c.List(func([]State) error { return nil }); err == nil {
		t.Error("an answer without an end was taken")
	}
	if _, err := Dial(t.TempDir() + "/none"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	ids := []queuedir.ID{number(1), number(2), number(3)}
	c := serve(t, [][]byte{AppendFound(nil, []bool{false, true, false}), {End}}, null, null, null)
	got, err := c.Describe(ids)
	if err != nil || len(got) != 3 || got[0] != nil || got[1] == nil || got[2] != nil {
		t.Fatalf("%v, %v", got, err)
	}
	got[1].Close()
	for name, files := range map[string][]*os.File{"too few": {null, null}, "too many": {null, null, null, null}} {
		c := serve(t, [][]byte{AppendFound(nil, []bool{false, true, false}), {End}}, files...)
		if got, err := c.Describe(ids); err == nil {
			t.Errorf("%s files: %v", name, got)
		}
	}
}

// What qmail-send says in the wrong moment, or not at all, is an error.
func TestClientRefuses(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	three := []*os.File{null, null, null}
	ids := []queuedir.ID{number(1)}
	found := AppendFound(nil, []bool{true})
	for name, c := range map[string]*Client{
		"no answer":         serve(t, nil),
		"another answer":    serve(t, [][]byte{answers()[1]}),
		"another count":     serve(t, [][]byte{AppendFound(nil, []bool{true, false}), {End}}, three...),
		"no packet":         serve(t, [][]byte{{'?'}}),
		"no end":            serve(t, [][]byte{found}, three...),
		"another end":       serve(t, [][]byte{found, found}, three...),
		"files and refusal": serve(t, [][]byte{AppendRefusal(nil, "no")}, three...),
	} {
		if got, err := c.Describe(ids); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	enough := errors.New("enough")
	c := serve(t, [][]byte{answers()[1], {End}})
	if err := c.List(func([]State) error { return enough }); err != enough {
		t.Errorf("of who takes the answer: %v", err)
	}
	gone := serve(t, nil)
	gone.Close()
	if err := gone.Scan(); err == nil {
		t.Error("asked by a client that is closed")
	}
	if _, err := gone.Describe(ids); err == nil {
		t.Error("described by a client that is closed")
	}
	if _, _, err := gone.receive(0); err == nil || strings.Contains(err.Error(), "went away") {
		t.Errorf("received by a client that is closed: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(file); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a file: %v", err)
	}
	if _, err := Dial(file + "/x"); err == nil || errors.Is(err, ErrNotRunning) {
		t.Errorf("below a file: %v", err)
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	c := serve(t, [][]byte{AppendResults(nil, []Result{{ID: number(1), Text: "x"}, {ID: number(2)}}), {End}})
	var got []Result
	order := Order{Kind: Release, Targets: []Target{{ID: number(1)}, {ID: number(2)}}}
	if err := c.Change(order, func(r []Result) error { got = append(got, r...); return nil }); err != nil || len(got) != 2 || got[1].ID != number(2) || got[0].Text != "x" {
		t.Errorf("%+v, %v", got, err)
	}
	c = serve(t, [][]byte{answers()[1], {End}})
	if err := c.Scan(); err != nil {
		t.Errorf("scan: %v", err)
	}
}

func TestCheckRelay(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"": true, "mx.example": true, "[192.0.2.1]:25": true, "[2001:db8::1]": true, "A_b-Z.09": true, "az": true, "a b": false, "a,b": false, "a/b": false,
		"@": false, "`": false, "{": false, "\\": false, "^": false, "é": false, "a\n": false,
		strings.Repeat("x", 300): true, strings.Repeat("x", 301): false,
	} {
		if err := CheckRelay(s); (err == nil) != want {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

// A packet says no more things than the protocol has.
func TestCounts(t *testing.T) {
	t.Parallel()
	state := AppendStates(nil, []State{{ID: number(1)}})[3:]
	for _, n := range []int{MaxStates, MaxStates + 1} {
		packet := append([]byte{States, byte(n >> 8), byte(n)}, bytes.Repeat(state, n)...)
		a, err := DecodeAnswer(packet)
		if (err == nil) != (n <= MaxStates) || err == nil && len(a.States) != n {
			t.Errorf("%d states: %d, %v", n, len(a.States), err)
		}
	}
}

// joined is a client and its peer.
func joined(t *testing.T) (*Client, *fdpass.Packets) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := fdpass.NewPackets(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packets.Close(); peer.Close() })
	return &Client{f: ours, packets: packets, buf: make([]byte, MaxPacket)}, peer
}

// A client that is closed is gone for qmail-send.
func TestClosedClientIsGone(t *testing.T) {
	t.Parallel()
	c, peer := joined(t)
	c.Close()
	if _, _, err := peer.Receive(make([]byte, 1), 0); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

// A question that was not sent has no answer, whatever is there to be read; and
// who answers nothing has gone away.
func TestQuestionIsNotSent(t *testing.T) {
	t.Parallel()
	c, peer := joined(t)
	fd, err := peer.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Shutdown(fd, unix.SHUT_RD); err != nil {
		t.Fatal(err)
	}
	found := AppendFound(nil, []bool{false})
	for _, packet := range [][]byte{{End}, found, {End}} {
		if err := peer.Send(packet); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Scan(); !errors.Is(err, unix.EPIPE) {
		t.Errorf("scan: %v", err)
	}
	if _, err := c.Describe([]queuedir.ID{number(1)}); !errors.Is(err, unix.EPIPE) {
		t.Errorf("describe: %v", err)
	}
	c, peer = joined(t)
	peer.Close()
	if _, _, err := c.receive(0); !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "went away") {
		t.Errorf("nobody answers: %v", err)
	}
	if tv, err := unix.GetsockoptTimeval(mustDescriptor(t, serve(t, nil)), unix.SOL_SOCKET, unix.SO_SNDTIMEO); err != nil || tv.Sec == 0 {
		t.Errorf("a connection that nobody accepts is waited for %+v, %v", tv, err)
	}
}

func mustDescriptor(t *testing.T, c *Client) int {
	t.Helper()
	fd, err := c.packets.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// Files of an answer that is not taken are closed, and those of a message when
// its owner says so.
func TestFilesAreClosed(t *testing.T) {
	t.Parallel()
	found, ids := AppendFound(nil, []bool{true}), []queuedir.ID{number(1)}
	for _, c := range []struct {
		name    string
		packets [][]byte
		deaf    bool   // the peer takes nothing more
		want    string // in the error; none: the answer is good
	}{
		{"a good answer", [][]byte{found, {End}}, false, ""},
		{"a refusal", [][]byte{AppendRefusal(nil, "no")}, false, "qmail-send: no"},
		{"no packet", [][]byte{{'?'}}, false, "manage protocol"},
		{"another answer", [][]byte{AppendFound(nil, []bool{false}), {End}}, false, "something else"},
		{"nobody hears that they are taken", [][]byte{found, {End}}, true, "went away"},
		{"no end", [][]byte{found, found}, false, "did not end"},
	} {
		client, peer := joined(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		answered := make(chan error, 1)
		go func() {
			defer w.Close()
			_, _, err := peer.Receive(make([]byte, MaxPacket), 0)
			if c.deaf && err == nil {
				var fd int
				if fd, err = peer.Descriptor(); err == nil {
					err = unix.Shutdown(fd, unix.SHUT_RD)
				}
			}
			files := []*os.File{w, w, w}
			for _, packet := range c.packets {
				err = errors.Join(err, peer.Send(packet, files...))
				files = nil
			}
			answered <- err
		}()
		got, err := client.Describe(ids)
		if c.want == "" && (err != nil || len(got) != 1) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		for _, m := range got {
			m.Close()
		}
		if err := <-answered; err != nil {
			t.Errorf("%s: who answers: %v", c.name, err)
		}
		if _, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: the files: %v", c.name, err)
		}
	}
}

// open counts the descriptors of this process.
func open(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A connection that fails leaves no descriptor. Not parallel: others open some.
func TestDialLeavesNothingOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	if _, err := Dial(path); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err) // and what is opened once is open now
	}
	before := open(t)
	for range 5 {
		if _, err := Dial(path); !errors.Is(err, ErrNotRunning) {
			t.Errorf("got %v", err)
		}
	}
	if after := open(t); after != before {
		t.Errorf("%d descriptors, and %d before", after, before)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := Dial(path)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), "socket") {
		t.Errorf("without a descriptor left: %v", err)
	}
}
