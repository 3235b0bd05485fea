// Package account says what a mail system costs: the processor time and the
// memory of its processes alone, and the processor time of the whole machine.
//
// The processes of a mail system are put into a control group, so that load
// generators and sinks do not count. What the kernel does for it in threads of
// its own (the journal, the loop device, packets) is in no group: Busy has it.
//
// Only the benchmark imports it. It reads files of the kernel's.
//
// Files:
//
//	group.go   control groups, version 1 (cpuacct) and 2
//	memory.go  proportional memory of the processes of a group
//	busy.go    the machine as a whole
package account
