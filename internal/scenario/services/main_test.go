package services

import (
	"os"
	"testing"

	"postrider/internal/testhost"
)

func TestMain(m *testing.M) { os.Exit(testhost.Main(m)) }
