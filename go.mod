module postrider

go 1.26.0

require (
	blitiri.com.ar/go/spf v1.6.0
	github.com/gdamore/tcell/v3 v3.6.0
	github.com/go-crypt/x v0.4.17
	github.com/hanwen/go-fuse/v2 v2.12.1
	github.com/landlock-lsm/go-landlock v0.11.2
	github.com/miekg/dns v1.1.73
	github.com/prometheus/client_model v0.6.2
	github.com/xdg-go/stringprep v1.0.4
	golang.org/x/crypto v0.54.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/clipperhouse/displaywidth v0.11.0 // indirect
	github.com/clipperhouse/uax29/v2 v2.7.0 // indirect
	github.com/gdamore/encoding v1.0.1 // indirect
	github.com/lucasb-eyer/go-colorful v1.4.1 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/common v0.70.0
	golang.org/x/term v0.46.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

require (
	golang.org/x/net v0.57.0
	golang.org/x/text v0.42.0 // indirect
	kernel.org/pub/linux/libs/security/libcap/psx v1.2.78 // indirect
)
