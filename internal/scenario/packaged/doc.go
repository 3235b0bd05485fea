// Package packaged is the life of the Debian package: installed by dpkg and
// started by its init script, with mail in and out; upgraded and downgraded under
// 200 new connections a second, removed under load, installed again, and purged,
// with each message in a ledger. All in a copy of this machine's root that nobody
// else sees (an overlay), with processes and network of its own.
//
// Files:
//
//	packaged_test.go  packages, and namespaces for life.sh
//	actor_test.go     what life.sh runs: the system's log, the check of the ledgers
//	load_test.go      who sends mail
//	unit_test.go      the package where systemd is process 1, in unit.sh
//	make_test.go      make install, setup and uninstall, in make.sh
package packaged
