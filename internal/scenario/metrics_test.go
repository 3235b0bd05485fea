package scenario

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"postrider/internal/testhost"
)

const metricsPort = ":9925"

// scraped is what one scrape has told.
type scraped struct {
	t        *testing.T
	text     string
	families map[string]*dto.MetricFamily
}

// scrape fetches the figures of a host as Prometheus does, and has its parser
// read them. The network is tcp, or unix for the socket of local readers.
func scrape(t *testing.T, from, to *testhost.Host, network string) scraped {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		if network == "unix" {
			return new(net.Dialer).DialContext(ctx, network, to.Path("/var/qmail/run/metrics.sock"))
		}
		return from.Dial(ctx, network, to.IP.String()+metricsPort)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	request, err := http.NewRequestWithContext(testhost.Within(t, soon), http.MethodGet, "http://figures/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v: %s", answer.Status, err, body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return scraped{t, string(body), families}
}

// sum adds up the series of a metric that have the labels, name=value each.
func (s scraped) sum(name string, labels ...string) (total float64) {
	s.t.Helper()
	family := s.families["postrider_"+name]
	if family == nil {
		s.t.Errorf("no metric postrider_%s", name)
		return -1
	}
	for _, m := range family.Metric {
		if !hasLabels(m, labels) {
			continue
		}
		switch family.GetType() {
		case dto.MetricType_COUNTER:
			total += m.GetCounter().GetValue()
		case dto.MetricType_HISTOGRAM:
			total += float64(m.GetHistogram().GetSampleCount())
		default:
			total += m.GetGauge().GetValue()
		}
	}
	return total
}

func hasLabels(m *dto.Metric, labels []string) bool {
	has := make(map[string]bool)
	for _, l := range m.Label {
		has[l.GetName()+"="+l.GetValue()] = true
	}
	for _, l := range labels {
		if !has[l] {
			return false
		}
	}
	return true
}

// await scrapes until a sum is as it should be.
func awaitFigure(t *testing.T, from, to *testhost.Host, want float64, name string, labels ...string) {
	t.Helper()
	for ctx := testhost.Within(t, soon); ; {
		got := scrape(t, from, to, "tcp").sum(name, labels...)
		if got == want {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s %v: got %v, want %v", name, labels, got, want)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// logged is how many lines of a host's log begin so.
func logged(h *testhost.Host, prefix string) (n int) {
	for _, line := range h.Log().Lines(0) {
		if strings.HasPrefix(line.Text, prefix) {
			n++
		}
	}
	return n
}

// figure is a number that is told in two ways.
type figure struct {
	name   string
	labels []string
	want   int
}

func compare(t *testing.T, s scraped, figures []figure) {
	t.Helper()
	for _, f := range figures {
		if got := s.sum(f.name, f.labels...); got != float64(f.want) {
			t.Errorf("%s %v: got %v, want %d", f.name, f.labels, got, f.want)
		}
	}
}

// TestFigures compares what qmail-metrics tells with the log and with what
// clients were told: under load, after the death of daemons, and behind an
// upgrade. Each scrape is read by Prometheus' own parser.
func TestFigures(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.example", "alice", "bob")
	far := network.Host("far.example")
	h.Control("rcpthosts", "mx1.example")
	h.Control("concurrencysmtp", "300")
	h.Control("concurrencysmtpip", "300")
	h.Control("metricslisten", metricsPort)
	h.StartSuite()

	tr := startTraffic(t, far, h, 50)
	ctx := testhost.Within(t, 3*soon)
	sent, refused := 0, 0
	for range 20 {
		sendmail(h, "bob", []string{"bob"}, letter("bob", fmt.Sprint("local-", sent)))
		sent++
		if smtp(ctx, far, h, "joe@far.example", []string{"x@else.example"}, letter("x", "relay")) != nil {
			refused++
		}
		scrape(t, far, h, "tcp")
		scrape(t, h, h, "unix")
	}
	n := tr.end()
	if refused != 20 {
		t.Errorf("%d of 20 messages for others were refused", refused)
	}
	waitEmpty(t, h)
	awaitFigure(t, far, h, 0, "queue_messages")
	awaitFigure(t, far, h, 0, "smtp_sessions")
	before := []figure{
		{"messages_accepted_total", []string{"via=smtp"}, n},
		{"messages_accepted_total", []string{"via=local"}, sent},
		{"messages_accepted_total", nil, logged(h, "new msg ")},
		{"commit_seconds", nil, n + sent},
		{"deliveries_total", []string{"channel=local", "outcome=success"}, count(h, 0, ": success: ")},
		{"deliveries_total", nil, logged(h, "starting delivery ")},
		{"delivery_seconds", []string{"channel=local"}, n + sent},
		{"queue_wait_seconds", nil, n + sent},
		{"smtp_sessions_total", nil, logged(h, "qmail-smtpd: connect ")},
		{"smtp_refusals_total", []string{"rule=rcpthosts"}, count(h, 0, " rule=rcpthosts ")},
		{"smtp_refusals_total", nil, logged(h, "qmail-smtpd: refused ")},
		{"process_restarts_total", nil, 0},
		{"process_up", []string{"program=qmail-smtpd"}, 1},
		{"workers", []string{"program=qmail-remote"}, 2},
		{"deliveries_limit", []string{"channel=remote"}, 20},
		{"deliveries_running", nil, 0},
	}
	first := scrape(t, far, h, "tcp")
	compare(t, first, before)
	t.Run("lint", func(t *testing.T) { runPromtool(t, unpackPromtool(t), first.text, "check", "metrics") })
	if bytes := first.sum("message_bytes_total"); bytes < float64(100*(n+sent)) {
		t.Errorf("%v bytes of %d messages", bytes, n+sent)
	}
	if _, wanted := first.families["postrider_process_up"]; !wanted || strings.Contains(first.text, `program="qmail-qmtpd"} 0`+"\npostrider_workers") {
		t.Error("programs that nobody wants are told to be down")
	}

	// They end, and what they have counted stays.
	mark := h.Log().Len()
	for _, program := range []string{"qmail-smtpd", "qmail-send", "qmail-spool", "qmail-metrics"} {
		h.Kill(program, syscall.SIGKILL)
		h.WaitForLog(mark, `^qmail-start: `+program+` started`)
	}
	before[11].want = 4
	awaitFigure(t, far, h, 4, "process_restarts_total")
	awaitFigure(t, far, h, 1, "process_up", "program=qmail-send")
	compare(t, scrape(t, far, h, "tcp"), before)
	t.Logf("%d messages by SMTP, %d by sendmail", n, sent)
	if mode := strings.TrimSpace(h.Must("stat", "-c", "%U:%G %a", "/var/qmail/run/metrics.sock")); mode != "root:qmailm 660" {
		t.Errorf("the socket is %s", mode)
	}

	upgrade(t, h)
	compare(t, scrape(t, far, h, "tcp"), before)
	compare(t, scrape(t, h, h, "unix"), before)
	if err := smtp(ctx, far, h, "joe@far.example", []string{"alice@mx1.example"}, letter("alice", "after")); err != nil {
		t.Error(err)
	}
	awaitFigure(t, far, h, float64(n+1), "messages_accepted_total", "via=smtp")
	h.StopSuite()
}

// TestFiguresWithoutSeparation: in a private installation all is alice's, and
// who is not her cannot read the socket.
func TestFiguresWithoutSeparation(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	h.Control("smtplisten", ":2525")
	h.Control("metricslisten") // the socket alone
	p := startPrivately(t, h, 2525)
	ctx := testhost.Within(t, soon)
	sendmail(h, "alice", []string{"alice"}, letter("alice", "m"))
	h.Maildir("alice").Wait(ctx, 1)
	if n := scrape(t, h, h, "unix").sum("messages_accepted_total", "via=local"); n != 1 {
		t.Errorf("%v messages", n)
	}
	ask := []string{"curl", "-sS", "--unix-socket", "/var/qmail/run/metrics.sock", "http://localhost/metrics"}
	for user, may := range map[string]bool{"alice": true, "bob": false} {
		result, err := h.Run(ctx, testhost.Command{Argv: ask, User: user})
		if err != nil || strings.Contains(result.Stdout, "\npostrider_workers{") != may {
			t.Errorf("%s: %v, %+v", user, err, result)
		}
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if _, err := p.Wait(ctx); err != nil {
		t.Error(err)
	}
	if text := h.ReadFile("/tmp/log"); strings.Contains(text, "counts nothing") || strings.Contains(text, "nothing is counted") {
		t.Errorf("log:\n%s", text)
	}
}

// TestFiguresOfQMTP: qmail-qmtpd counts as it runs, with what it may do then.
func TestFiguresOfQMTP(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.example", "alice")
	far := network.Host("far.example")
	h.Control("metricslisten", metricsPort)
	startQMTP(h)
	c := qmtpDial(t, far, h, "209")
	if _, err := io.WriteString(c, qmtpMail(letter("alice", "x"), "x@else.example", "alice@mx1.example", "x@remote.example")); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for range 2 {
		if _, err := qmtpAnswer(in); err != nil {
			t.Fatal(err)
		}
	}
	const program = "program=qmail-qmtpd"
	awaitFigure(t, far, h, 1, "qmtp_sessions", program)
	compare(t, scrape(t, far, h, "tcp"), []figure{
		{"messages_accepted_total", []string{"via=qmtp"}, 1},
		{"qmtp_sessions_total", []string{program}, 1},
		{"qmtp_sessions_total", nil, 1},
		{"qmtp_refusals_total", []string{program, "rule=rcpthosts"}, 1},
		{"qmtp_refusals_total", nil, 1},
	})
	c.Close()
	awaitFigure(t, far, h, 0, "qmtp_sessions")
}
