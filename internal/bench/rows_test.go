package bench

import (
	"fmt"

	"postrider/internal/bench/load"
	"postrider/internal/bench/report"
)

// The mail systems, as the table names them.
const (
	ours      = "Postrider"
	postfix   = "Postfix"
	opensmtpd = "OpenSMTPD"
	exim      = "Exim"
	chasquid  = "chasquid"
)

// rows are what is measured of every mail system, and what ours shall reach.
func rows(p plan) []report.Row {
	return append([]report.Row{
		{Key: "W1 accepted", Title: "W1 one mailbox", Unit: "accepted/s"},
		{Key: "W1 delivered", Title: "W1 one mailbox", Unit: "delivered/s", Goal: report.Goal{Times: 3, Than: postfix}},
		{Key: "W1 cpu", Title: "W1 processor", Unit: "s per 1000", Lower: true, Goal: report.Goal{Times: 3, Than: postfix}},
		{Key: "W1 busy", Title: "W1 whole machine", Unit: "s per 1000", Lower: true},
		{Key: "W1x100 delivered", Title: fmt.Sprintf("W1x100 %d mailboxes", p.users), Unit: "delivered/s", Goal: report.Goal{Times: 3, Than: postfix}},
		{Key: "W2 relayed", Title: "W2 relay", Unit: "relayed/s", Goal: report.Goal{Times: 3, Than: postfix}},
		{Key: "W2 relayed", Title: "W2 relay", Unit: "relayed/s", Goal: report.Goal{Times: 2, Than: report.Fastest}},
		{Key: "W2 cpu", Title: "W2 processor", Unit: "s per 1000", Lower: true, Goal: report.Goal{Times: 3, Than: postfix}},
		{Key: "W2 busy", Title: "W2 whole machine", Unit: "s per 1000", Lower: true},
		{Key: "W3 call", Title: "W3 sendmail -t", Unit: "ms a call", Lower: true, Goal: report.Goal{Times: 2.5, Than: report.Fastest}},
		{Key: "W4 local", Title: fmt.Sprintf("W4 %d local recipients", p.recipients), Unit: "s", Lower: true, Goal: report.Goal{Times: 3, Than: postfix}},
		{Key: "W4 remote", Title: fmt.Sprintf("W4 %d remote recipients", p.recipients), Unit: "s", Lower: true, Goal: report.Goal{Times: 1, Than: exim}},
		{Key: "W5 rate", Title: "W5 large messages", Unit: "MB/s", Goal: report.Goal{Times: 1.5, Than: report.Fastest}},
		{Key: "W5 memory", Title: "W5 memory above idle", Unit: "MB", Lower: true, Goal: report.Goal{AtMost: 20}},
		{Key: "W6 accepted", Title: "W6 backlog", Unit: "accepted/s", Goal: report.Goal{Times: 2.5, Than: report.Fastest}},
		{Key: "W6 p50", Title: "W6 new local mail, p50", Unit: "ms", Lower: true},
		{Key: "W6 p99", Title: "W6 new local mail, p99", Unit: "ms", Lower: true, Goal: report.Goal{AtMost: 10}},
		{Key: "W6 restart", Title: "W6 restart to first delivery", Unit: "s", Lower: true, Goal: report.Goal{AtMost: 0.3}},
		{Key: "W7 memory", Title: "W7 idle memory", Unit: "MB", Lower: true, Goal: report.Goal{AtMost: 45}},
		{Key: "W7 processes", Title: "W7 processes", Unit: "idle", Lower: true},
		{Key: "W8 session", Title: "W8 idle session", Unit: "kB", Lower: true, Goal: report.Goal{AtMost: 16}},
		{Key: "W8 held", Title: "W8 idle sessions", Unit: "held"},
	}, fanRows(p)...)
}

// fanRows are those of W9.
func fanRows(p plan) []report.Row {
	return []report.Row{
		{Key: "W9 one", Title: fmt.Sprintf("W9 %d recipients, %d domains", p.recipients, fanNear), Unit: "s", Lower: true},
		{Key: "W9 all", Title: fmt.Sprintf("W9 %d domains, none dead", fanDomains-fanDead), Unit: "messages/s"},
		{Key: "W9 live", Title: fmt.Sprintf("W9 %d domains, %d dead", fanDomains, fanDead), Unit: "to live ones/s"},
	}
}

// pictured are the rows whose ratio to Postfix says something.
func pictured(p plan) []report.Row {
	wanted := map[string]bool{
		"W1 delivered": true, "W1 cpu": true, "W1x100 delivered": true, "W2 relayed": true, "W2 cpu": true, "W3 call": true,
		"W4 local": true, "W4 remote": true, "W5 rate": true, "W6 accepted": true, "W6 p99": true, "W6 restart": true, "W8 session": true,
	}
	var list []report.Row
	for _, row := range rows(p) {
		if wanted[row.Key] {
			list = append(list, row)
			wanted[row.Key] = false
		}
	}
	return list
}

// machine is the column of the machine's own limits.
const machine = "machine"

// limitNames are its rows.
func limitNames() []string {
	return []string{load.DurableAlone, load.DurableMany, load.DurableGroup, load.AppendGroup, load.ForkExec}
}
