// Package testhost makes whole machines out of Linux namespaces for tests:
// hosts with their own users, files, processes, network address and host name,
// joined by a network with a DNS server. The mail suite is installed and runs
// on them exactly as on a real machine, with real users and real ports.
//
// Who may import it: tests only (and the benchmark). It imports no room.
//
// Trust: everything that runs in a host is the test's own.
//
// What holds for every host:
//
//  1. Nothing a host does is seen outside: /etc, /var, /home, /root,
//     /usr/sbin, /usr/lib, /run, /tmp and /proc are its own; the network has
//     no way out.
//  2. /var/qmail and /home are on a file system of their own, a journaled
//     ext4 in an image file without a name.
//  3. When the test ends, also by a panic or SIGKILL, the host ends: its init
//     sees end of file, the kernel kills every process of the namespace, and
//     mounts, loop device, image and network link go with the last of them.
//  4. Run by root nothing is skipped: what is missing fails the test. Run by
//     somebody else the tests run in a user namespace, with memory instead of
//     disks, and say what they skip.
//  5. No program of the suite knows that it is tested. The one that runs on
//     another clock (MoveClock) is a binary of its own, linked from the same
//     room.
//
// Files:
//
//	main.go       Main: the test binary as init of hosts, and as root of a user namespace
//	network.go    Network: bridge, addresses, links; what is skipped when
//	netns.go      network namespaces without names
//	host.go       Host: made, read, written, cut off
//	hostinit.go   the init of a host
//	setup.go      the tree of a host: overlays, disk, first files of /etc
//	disk.go       image files and loop devices
//	powercut.go   the disk stops, everybody is killed, the disk is mounted again
//	agent.go      how the test talks to a host's init
//	children.go   how init starts and reaps
//	command.go    Run, Start, Must
//	accounts.go   users of a host
//	processes.go  what runs on a host, by user, group, thread, descriptor
//	zone.go       the DNS server
//	dnssec.go     its signatures, and a resolver of a host that verifies them
//	log.go        lines of the suite's log, waited for
//	watch.go      files and Maildirs, waited for
//	patience.go   how long tests wait
//	length.go     how much fault tests do: bounded or long
//	build.go      the suite, built once
//	mutant.go     the suite with a fault in it
//	suite.go      the suite, installed, started, stopped
//	clock.go      a clock the test moves
//	systemd.go    a systemd as process 1, which systemd.sh boots
//	sink.go       a next host, scripted
//	client.go     a mail client, for load
//	secrets.go    a host's certificate and passwords, and the client's side of them
package testhost
