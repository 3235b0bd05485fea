// Package services holds tests of what a system starts the suite by: the files of
// contrib, as they are, under the init systems and supervisors of Debian, and the
// targets of the Makefile that put the suite in place.
//
// Nobody imports it; there is nothing here but tests. As root nothing is skipped;
// the Debian packages they need are those that .ci/run fetches.
//
// Files:
//
//	host_test.go        a host with a supervisor from a Debian package
//	acme_test.go        certificates that ACME clients renew
//	traffic_test.go     mail while services are started and stopped, and its ledger
//	logs_test.go        the log as a logger has left it
//	supervised_test.go  runit, daemontools and s6, with their loggers
//	loggers_test.go     loggers that qmail-start runs itself
//	logrotate_test.go   the file that rsyslog writes, rotated
//	openrc_test.go      OpenRC, and the system's log
//	systemd_test.go     the unit, and what a systemd runs (unit.sh)
package services
