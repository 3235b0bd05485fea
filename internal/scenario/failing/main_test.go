//go:build linux && amd64

package failing

import (
	"os"
	"testing"

	"postrider/internal/faultcall"
	"postrider/internal/testhost"
)

func TestMain(m *testing.M) {
	faultcall.Enter()
	os.Exit(testhost.Main(m))
}
