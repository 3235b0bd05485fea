//go:build !amd64 && !arm64

package sandbox

// There are no filters for other machines.
const (
	machine = 0
	newest  = 0
	foreign = 0
)
