// Qmail-metrics tells over HTTP what the daemons have counted.
//
// Runs as:     qmailm:nofiles, confined
// Started by:  qmail-start, where control/metricslisten is
// Reads:       requests (hostile); memory in which daemons count (hostile)
// Writes:      its answers, its log
// May:         accept connections on the sockets that it is handed
// Must not:    open files, connect, write what it reads, execute
// Trusts:      qmail-start
// If captured: an attacker has all figures, and can tell wrong ones
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-send/metrics"
)

func main() {
	if err := priv.Enter("qmail-metrics"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-metrics: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(metrics.Main(world.Real()))
}
