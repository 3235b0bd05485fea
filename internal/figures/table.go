package figures

import "slices"

// The rows of the table.
const (
	StartTime ID = iota
	ProcessUp
	ProcessRestarts
	Workers

	Accepted
	AcceptedBytes
	CommitSeconds
	QueueSyncs
	SyncGroupSize
	SyncSeconds

	QueueMessages
	QueueOldest
	QueueAge
	QueueWait
	Deliveries
	DeliveriesRunning
	DeliveriesLimit
	DeliverySeconds
	Notices
	DestinationsKnown

	SMTPSessions
	SMTPSessionsBegun
	SMTPSessionsLimit
	SMTPRefusals
	SMTPTLSSessions
	AuthAttempts

	QMTPSessions
	QMTPSessionsBegun
	QMTPSessionsLimit
	QMTPRefusals

	metrics int = iota
)

// Programs are those whose processes are counted: all daemons of internal/priv,
// qmail-local and the logger.
var Programs = []string{
	"qmail-spool", "qmail-send", "qmail-lspawn", "qmail-local", "qmail-mtasts", "qmail-tlsseen", "qmail-tlsrpt",
	"qmail-tlspost", "qmail-remote", "qmail-rspawn", "qmail-smtpd", "qmail-qmtpd", "qmail-qmqpd", "qmail-tlskey", "qmail-auth",
	"qmail-checkpass", "qmail-lookup", "qmail-vlookup", "qmail-nss", "qmail-policy", "qmail-filter", "qmail-metrics", "logger",
}

// Ways are those by which messages come in.
var Ways = []string{"smtp", "submission", "local", "qmtp", "qmqp", "notice", "tlsreport"}

// The places in Ways.
const (
	ViaSMTP = iota
	ViaSubmission
	ViaLocal
	ViaQMTP
	ViaQMQP
	ViaNotice
	ViaTLSReport
)

// States are those of queued messages, in the words of qmail-queuectl.
var States = []string{"new", "deferred", "active", "held", "bouncing", "leaving", "damaged"}

// Ages are classes of how long a message has been in the queue.
var Ages = []string{"under_10m", "10m_to_1h", "1h_to_4h", "4h_to_1d", "1d_to_3d", "over_3d"}

// Channels are those of qmail.
var Channels = []string{"local", "remote"}

// Outcomes are those of deliveries.
var Outcomes = []string{"success", "deferral", "failure"}

// The places in Outcomes.
const (
	Success = iota
	Deferral
	Failure
)

// Standings are those of destinations, in the words of qmail-queuectl, and behind
// them "unknown", for a delivery whose destination is not known, and "local".
var (
	standings = []string{"well", "slowed", "down"}
	classes   = append(standings[:len(standings):len(standings)], "unknown")
)

// The classes of destinations behind the standings.
const (
	UnknownDestination = 3
	LocalDestination   = 4
)

// Kinds of notices.
const (
	NoticeBounce = iota
	NoticeDoubleBounce
	NoticeDelay
	NoticeSuccess
)

var noticeKinds = []string{"bounce", "double_bounce", "delay", "success"}

// Rules are what decides that qmail-smtpd refuses something, as its log has it
// behind rule=; "other" is for refusals without one and for those that are not
// known here.
var Rules = []string{
	"other", "RBLSMTPD", "QMAILQUEUE", "badhelo", "badmailfrom", "badmailto", "badrcptto", "checkrdns", "concurrencysmtp", "concurrencysmtpip",
	"dnsbllist", "greylist", "maxbadrcpt", "milters", "proxyhosts", "queuefull", "rateconnsmtp", "ratemailsmtp", "ratercptsmtp",
	"rcpthosts", "spfbehavior", "submission", "tcp.smtp", "verifyrcpt",
}

// RuleSeries is the series of refusals by a rule.
func RuleSeries(rule string) int { return max(0, slices.Index(Rules, rule)) }

// QMTPPrograms are those that serve QMTP and QMQP, and QMTPRules what decides that
// they refuse something, as Rules are for qmail-smtpd.
var (
	QMTPPrograms = []string{"qmail-qmtpd", "qmail-qmqpd"}
	QMTPRules    = []string{
		"other", "RBLSMTPD", "badmailfrom", "badmailto", "badrcptto", "concurrencyqmqp", "concurrencyqmqpip", "concurrencyqmtp", "concurrencyqmtpip",
		"databytes", "maxbadrcpt", "maxrcpt", "qmqphosts", "rcpthosts", "tcp.smtp", "verifyrcpt",
	}
)

// QMTPSeries is the series of a program, and QMTPRefusalSeries that of what it
// refuses by a rule. A program that is none of them has none.
func QMTPSeries(program string) int { return slices.Index(QMTPPrograms, program) }

func QMTPRefusalSeries(program, rule string) int {
	return QMTPSeries(program)*len(QMTPRules) + max(0, slices.Index(QMTPRules, rule))
}

// Results are those of attempts to log in.
var Results = []string{"accepted", "refused", "unsure"}

// The places in Results.
const (
	LoggedIn = iota
	LoginRefused
	LoginUnsure
)

const (
	micro  = 1e6 // microseconds are counted, and seconds told
	ms     = 1000
	second = 1000 * ms
)

// Bounds of histograms, in microseconds: of what a disk takes, of what another
// host takes, and of what a queue makes wait.
var (
	ofDisks  = []uint64{250, 500, 1 * ms, 2500, 5 * ms, 10 * ms, 25 * ms, 50 * ms, 100 * ms, 250 * ms, 1 * second, 5 * second}
	ofHosts  = []uint64{1 * ms, 5 * ms, 10 * ms, 50 * ms, 100 * ms, 500 * ms, 1 * second, 5 * second, 10 * second, 60 * second, 300 * second}
	ofQueues = []uint64{1 * ms, 10 * ms, 100 * ms, 1 * second, 10 * second, 60 * second, 600 * second, 3600 * second}
	ofGroups = []uint64{1, 2, 4, 8, 16, 32, 64, 128}
)

// table returns all rows, by ID. A row that changes in any way makes another
// layout: processes of two releases do not share an area.
func table() [metrics]Metric {
	start, spool, send, smtpd := []string{"qmail-start"}, []string{"qmail-spool"}, []string{"qmail-send"}, []string{"qmail-smtpd"}
	program, channel := []string{"program"}, []string{"channel"}
	return [metrics]Metric{
		StartTime: {Name: "postrider_start_time_seconds", Kind: Optional, By: start, Series: one, Unit: 1,
			Help: "When qmail-start began, or its successor at the last upgrade, in seconds since 1970."},
		ProcessUp: {Name: "postrider_process_up", Kind: Optional, By: start, Labels: program, Series: each(Programs), Unit: 1,
			Help: "Whether all processes of a program run that the configuration asks for."},
		ProcessRestarts: {Name: "postrider_process_restarts_total", Kind: Counter, By: start, Labels: program, Series: each(Programs), Unit: 1,
			Help: "Processes that ended without being told to, or could not be started, and were started again."},
		Workers: {Name: "postrider_workers", Kind: Optional, By: []string{"qmail-start", "qmail-lspawn"}, Labels: program, Series: each(Programs), Unit: 1,
			Help: "Processes of a program that run."},

		Accepted: {Name: "postrider_messages_accepted_total", Kind: Counter, By: spool, Labels: []string{"via"}, Series: each(Ways), Unit: 1,
			Help: "Messages that were made durable, by the way on which they came."},
		AcceptedBytes: {Name: "postrider_message_bytes_total", Kind: Counter, By: spool, Labels: []string{"via"}, Series: each(Ways), Unit: 1,
			Help: "Bytes of these messages, as they are in the queue."},
		CommitSeconds: {Name: "postrider_commit_seconds", Kind: Histogram, By: spool, Series: one, Bounds: ofDisks, Unit: micro,
			Help: "From the end of a message until it is durable."},
		QueueSyncs: {Name: "postrider_queue_syncs_total", Kind: Counter, By: spool, Labels: []string{"of"}, Series: each([]string{"file", "directory"}), Unit: 1,
			Help: "Files and directories of the queue that were synced by groups of messages."},
		SyncGroupSize: {Name: "postrider_queue_sync_group_size", Kind: Histogram, By: spool, Series: one, Bounds: ofGroups, Unit: 1,
			Help: "Messages, arriving or removed, that shared one round of syncs."},
		SyncSeconds: {Name: "postrider_queue_sync_seconds", Kind: Histogram, By: spool, Series: one, Bounds: ofDisks, Unit: micro,
			Help: "How long a round of syncs took."},

		QueueMessages: {Name: "postrider_queue_messages", Kind: Optional, By: send, Labels: []string{"state"}, Series: each(States), Unit: 1,
			Help: "Messages in the queue, by the states of qmail-queuectl; counted every 10 s."},
		QueueOldest: {Name: "postrider_queue_oldest_seconds", Kind: Optional, By: send, Series: one, Unit: 1,
			Help: "Age of the oldest message in the queue that is not held, 0 if there is none; counted every 10 s."},
		QueueAge: {Name: "postrider_queue_age_messages", Kind: Optional, By: send, Labels: []string{"age"}, Series: each(Ages), Unit: 1,
			Help: "Messages in the queue, by age; counted every 10 s."},
		QueueWait: {Name: "postrider_queue_wait_seconds", Kind: Histogram, By: send, Labels: channel, Series: each(Channels), Bounds: ofQueues, Unit: micro,
			Help: "From the arrival of a message to its first attempt."},
		Deliveries: {Name: "postrider_deliveries_total", Kind: Counter, By: send, Labels: []string{"channel", "destination", "outcome"}, Series: ofDeliveries(), Unit: 1,
			Help: "Deliveries that ended, by outcome, and by how the destination stood then."},
		DeliveriesRunning: {Name: "postrider_deliveries_running", Kind: Gauge, By: send, Labels: channel, Series: each(Channels), Unit: 1,
			Help: "Deliveries that are under way."},
		DeliveriesLimit: {Name: "postrider_deliveries_limit", Kind: Gauge, By: send, Labels: channel, Series: each(Channels), Unit: 1,
			Help: "How many deliveries may be under way; 0 says that the channel is held."},
		DeliverySeconds: {Name: "postrider_delivery_seconds", Kind: Histogram, By: send, Labels: channel, Series: each(Channels), Bounds: ofHosts, Unit: micro,
			Help: "How long a delivery took from when it was given out to its outcome."},
		Notices: {Name: "postrider_notices_total", Kind: Counter, By: send, Labels: []string{"kind"}, Series: each(noticeKinds), Unit: 1,
			Help: "Messages to senders about what became of theirs."},
		DestinationsKnown: {Name: "postrider_destinations", Kind: Gauge, By: send, Labels: []string{"state"}, Series: each(standings), Unit: 1,
			Help: "Destinations of mail to other hosts that are known at present, by how they stand; counted every 10 s."},

		SMTPSessions: {Name: "postrider_smtp_sessions", Kind: Gauge, By: smtpd, Series: one, Unit: 1,
			Help: "SMTP sessions that are open."},
		SMTPSessionsBegun: {Name: "postrider_smtp_sessions_total", Kind: Counter, By: smtpd, Series: one, Unit: 1,
			Help: "SMTP sessions that were begun; clients that were turned away have none."},
		SMTPSessionsLimit: {Name: "postrider_smtp_sessions_limit", Kind: Optional, By: smtpd, Series: one, Unit: 1,
			Help: "How many SMTP sessions may be open (control/concurrencysmtp); known once a client has come."},
		SMTPRefusals: {Name: "postrider_smtp_refusals_total", Kind: Counter, By: smtpd, Labels: []string{"rule"}, Series: each(Rules), Unit: 1,
			Help: "Commands, messages and clients that qmail-smtpd refused, by the rule in its log."},
		SMTPTLSSessions: {Name: "postrider_smtp_tls_sessions_total", Kind: Counter, By: smtpd, Series: one, Unit: 1,
			Help: "SMTP sessions that have spoken TLS."},
		AuthAttempts: {Name: "postrider_auth_attempts_total", Kind: Counter, By: smtpd, Labels: []string{"result"}, Series: each(Results), Unit: 1,
			Help: "Attempts of clients to log in; unsure are those that could not be checked."},

		QMTPSessions: {Name: "postrider_qmtp_sessions", Kind: Gauge, By: QMTPPrograms, Labels: program, Series: each(QMTPPrograms), Unit: 1,
			Help: "Sessions of QMTP and QMQP that are open."},
		QMTPSessionsBegun: {Name: "postrider_qmtp_sessions_total", Kind: Counter, By: QMTPPrograms, Labels: program, Series: each(QMTPPrograms), Unit: 1,
			Help: "Sessions of QMTP and QMQP that were begun; clients that were turned away have none."},
		QMTPSessionsLimit: {Name: "postrider_qmtp_sessions_limit", Kind: Optional, By: QMTPPrograms, Labels: program, Series: each(QMTPPrograms), Unit: 1,
			Help: "How many sessions may be open (control/concurrencyqmtp, concurrencyqmqp); known once a client has come."},
		QMTPRefusals: {Name: "postrider_qmtp_refusals_total", Kind: Counter, By: QMTPPrograms, Labels: []string{"program", "rule"}, Series: ofQMTPRefusals(), Unit: 1,
			Help: "Recipients, messages and clients that qmail-qmtpd and qmail-qmqpd refused, by the rule in their log."},
	}
}

// ofQMTPRefusals are the series of refusals, by program.
func ofQMTPRefusals() (series [][]string) {
	for _, program := range QMTPPrograms {
		for _, rule := range QMTPRules {
			series = append(series, []string{program, rule})
		}
	}
	return series
}

// ofDeliveries are the series of deliveries: one class of destinations is for
// each that is local, the others for the remote ones.
func ofDeliveries() (series [][]string) {
	for i := range append(classes, "local") {
		for _, outcome := range Outcomes {
			if i == LocalDestination {
				series = append(series, []string{"local", "local", outcome})
			} else {
				series = append(series, []string{"remote", classes[i], outcome})
			}
		}
	}
	return series
}

// DeliverySeries is the series of a delivery by the class of its destination.
func DeliverySeries(class, outcome int) int { return class*len(Outcomes) + outcome }
