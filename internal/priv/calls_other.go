//go:build !amd64 && !arm64

package priv

import "postrider/internal/sandbox"

// There are no filters for other machines (sandbox.Missing says so).

func (Calls) filter(int) sandbox.Filter { return sandbox.Filter{} }

func (Nobodies) filter() sandbox.Filter { return sandbox.Filter{} }
