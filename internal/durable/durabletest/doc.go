// Package durabletest is a disk in memory for tests of write paths: it fails
// the operation it is told to, stops the world after another, and then shows
// what a real disk may hold after the power cut.
//
// Only tests import it. The model is the pessimistic one
// ("unordered"): a synced file keeps its bytes and the name it was created
// under, a synced directory every change of its names, syncfs everything;
// whatever else was done may be there or not, in part, or as zero bytes.
// After a failed sync what it should have saved counts as written but is not:
// no later sync saves it (R5).
//
// disk.go the operations, crash.go what is left of them.
package durabletest
