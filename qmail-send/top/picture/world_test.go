package picture

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/internal/wire/manage"
	"postrider/qmail-send/top/ask"
	"postrider/qmail-send/top/readings"
)

// noon is when the screens of the tests are drawn.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// figuresAt is what a busy host's figures say so many seconds after noon.
func figuresAt(second int) string {
	n := float64(second)
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, "postrider_"+format+"\n", args...) }
	say("start_time_seconds %d", noon.Add(-(12*24+4)*time.Hour).Unix())
	for _, p := range []string{"qmail-spool", "qmail-send", "qmail-lspawn", "qmail-remote", "qmail-smtpd", "qmail-lookup", "qmail-tlskey", "qmail-metrics"} {
		say(`process_up{program="%s"} 1`, p)
		say(`process_restarts_total{program="%s"} 0`, p)
	}
	say(`process_up{program="qmail-policy"} 1`)
	say(`process_restarts_total{program="qmail-policy"} 2`)
	say(`workers{program="qmail-remote"} 4`)
	say(`messages_accepted_total{via="smtp"} %g`, 123456+10.4*n)
	say(`messages_accepted_total{via="local"} %g`, 900+0.2*n)
	for state, count := range map[string]float64{"new": 3, "deferred": 12000 + n, "active": 40, "held": 2, "bouncing": 0, "leaving": 1, "damaged": 0} {
		say(`queue_messages{state="%s"} %g`, state, count)
	}
	say("queue_oldest_seconds %d", 3*86400+3*3600)
	for age, count := range map[string]int{"under_10m": 300, "10m_to_1h": 1200, "1h_to_4h": 3000, "4h_to_1d": 5000, "1d_to_3d": 2400, "over_3d": 146} {
		say(`queue_age_messages{age="%s"} %d`, age, count)
	}
	for channel, outcome := range map[string][3]float64{"local": {9.1, 0, 0.01}, "remote": {0.7, 3.1, 0.2}} {
		for i, word := range []string{"success", "deferral", "failure"} {
			class := map[string]string{"local": "local", "remote": "well"}[channel]
			say(`deliveries_total{channel="%s",destination="%s",outcome="%s"} %g`, channel, class, word, []float64{98765, 4321, 55}[i]+outcome[i]*n)
		}
	}
	say(`deliveries_running{channel="local"} 10`)
	say(`deliveries_limit{channel="local"} 200`)
	say(`deliveries_running{channel="remote"} 23`)
	say(`deliveries_limit{channel="remote"} 500`)
	for channel, most := range map[string]string{"local": "0.005", "remote": "5"} {
		say(`delivery_seconds_bucket{channel="%s",le="0.001"} %g`, channel, 100+n)
		say(`delivery_seconds_bucket{channel="%s",le="%s"} %g`, channel, most, 200+50*n)
		say(`delivery_seconds_bucket{channel="%s",le="+Inf"} %g`, channel, 200+50*n)
	}
	say(`commit_seconds_bucket{le="0.005"} %g`, 90*n)
	say(`commit_seconds_bucket{le="0.05"} %g`, 100*n)
	say(`commit_seconds_bucket{le="+Inf"} %g`, 100*n)
	say(`queue_sync_group_size_bucket{le="8"} %g`, 100*n)
	say(`queue_sync_group_size_bucket{le="+Inf"} %g`, 100*n)
	say(`queue_sync_group_size_sum %g`, 320*n)
	say("smtp_sessions 23")
	say("smtp_sessions_limit 200")
	say("smtp_sessions_total %g", 54321+12.3*n)
	say("smtp_tls_sessions_total %g", 50000+10.7*n)
	for rule, perSecond := range map[string]float64{"rcpthosts": 2.1, "dnsbllist": 0.9, "spfbehavior": 0.2, "verifyrcpt": 0, "milters": 0} {
		say(`smtp_refusals_total{rule="%s"} %g`, rule, map[string]float64{"milters": 0}[rule]+float64(len(rule))*100*map[bool]float64{true: 1}[rule != "milters"]+perSecond*n)
	}
	say(`auth_attempts_total{result="accepted"} %g`, 800+0.1*n)
	say(`auth_attempts_total{result="refused"} %g`, 66+0.3*n)
	say(`auth_attempts_total{result="unsure"} 1`)
	return b.String()
}

// busy is a model with all there is to show.
func busy(t *testing.T) *Model {
	t.Helper()
	m := New("mx1.example.org", noon)
	for second := range 31 {
		r, err := readings.Read(figuresAt(second), noon.Add(time.Duration(second-30)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		m.Take(r, nil)
	}
	m.TakeOrders(ask.Orders{At: noon, Destinations: []manage.Destination{
		{Name: "mx.example.com", Domains: 1, Standing: manage.Well, Waiting: 0, Jobs: 3, Deliveries: 4, Window: 20},
		{Name: "mx1.example.net, mx2.example.net", Domains: 310, Standing: manage.Down, Waiting: 11200, Window: 1, Since: noon.Add(-3 * time.Hour).Unix(),
			Next: noon.Add(90 * time.Second).Unix(), Reason: "connect to mx1.example.net: connection timed out"},
		{Name: "in.example.edu", Domains: 2, Standing: manage.Slowed, Waiting: 800, Jobs: 2, Deliveries: 2, Window: 2, Since: noon.Add(-10 * time.Minute).Unix(),
			Reason: "421 4.7.0 too many connections from 192.0.2.1"},
		{Name: "rest.example", Domains: 1, Standing: manage.Well, Window: 20},
		{Name: "evil\x1b[2J\u202e.example", Domains: 1, Standing: manage.Slowed, Waiting: 1, Window: 1, Reason: "450 \x1b]0;owned\x07\u009b31m \xff"},
	}}, nil)
	m.logErr = nil
	for _, line := range []string{ // as many seconds ago as it has points
		"......... new msg 17641515001234560001",
		"......... info msg 17641515001234560001: bytes 1200 from <ann@example.net> qp 12 uid 70",
		"......... starting delivery 5: msg 17641515001234560001 to remote joe@example.com",
		"......... status: local 10/200 remote 23/500",
		"........ qmail-smtpd: refused session=9 client=192.0.2.7 rule=rcpthosts code=553",
		"....... delivery 5: deferral: 192.0.2.9_said:_450_4.2.1_try_again_later/",
		"....... starting delivery 6: msg 17641515001234560001 to local bob@mx1.example.org",
		"...... delivery 6: success: did_1+0+0/",
		"..... qmail-smtpd: refused session=10 client=192.0.2.7 \x1b[31m command=\u202e",
		"... qmail-policy: warning: name server 192.0.2.53 does not answer",
		". end msg 17641515001234560001",
	} {
		seconds, words, _ := strings.Cut(line, " ")
		m.Log.Take(fmt.Sprintf("@%016x%08x %s", 1<<62+10+noon.Unix()-int64(len(seconds)), 0, words), noon)
	}
	return m
}
