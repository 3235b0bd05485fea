//go:build !race

package raced

// On: the race detector watches.
const On = false
