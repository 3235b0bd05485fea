package spool

import "runtime/debug"

// heapGoal keeps the whole process below 20 MiB: the budget for messages, the
// buffers of connections, and what waits for the scheduler.
const heapGoal = 14 << 20

// limitMemory makes the collector work harder rather than let garbage pile up.
func limitMemory() {
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(heapGoal)
}
