package scenario

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// TestTheKeyIsInOneProcess looks for the private keys in the memory of the
// processes while there are TLS sessions: they are in qmail-tlskey alone.
func TestTheKeyIsInOneProcess(t *testing.T) {
	t.Parallel()
	h := tlsHost(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h.WriteKey(testhost.CertFile, rsaKey)
	h.Must("mkdir", "-p", "/var/qmail/control/servercerts/ec.example")
	h.WriteKey("/var/qmail/control/servercerts/ec.example/servercert.pem", ecKey)
	h.StartSuite()
	for i := range 40 {
		name := []string{"mx1.example", "ec.example"}[i%2]
		c, err := tlsTo(t, h, "465", name)
		if err != nil {
			t.Fatalf("%v\nlog:\n%s", err, h.Log().Timed(0))
		}
		if leaf := c.ConnectionState().PeerCertificates[0]; (leaf.PublicKeyAlgorithm == x509.ECDSA) != (name == "ec.example") {
			t.Errorf("%s has a key of %v", name, leaf.PublicKeyAlgorithm)
		}
	}
	ecScalar, err := ecKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string][]byte{
		"RSA d": rsaKey.D.Bytes(), "RSA p": rsaKey.Primes[0].Bytes(), "RSA q": rsaKey.Primes[1].Bytes(), "EC": ecScalar,
		"RSA DER": derOf(t, rsaKey)[40:], "EC DER": derOf(t, ecKey),
	}
	for name, part := range maps.Clone(parts) {
		turned := slices.Clone(part)
		slices.Reverse(turned) // as a number lies in memory
		parts[name+" turned"] = turned
	}
	keys, looked := searchMemory(t, h, "qmail-tlskey", parts)
	t.Logf("qmail-tlskey: %v in %d bytes", keys, looked)
	for _, kind := range []string{"RSA", "EC"} {
		if !slices.ContainsFunc(keys, func(name string) bool { return strings.HasPrefix(name, kind) }) {
			t.Errorf("the key of %s is not found in qmail-tlskey: this test sees nothing", kind)
		}
	}
	for _, program := range []string{"qmail-smtpd", "qmail-start", "qmail-spool", "qmail-send"} {
		found, looked := searchMemory(t, h, program, parts)
		if len(found) > 0 {
			t.Errorf("%s has %v", program, found)
		}
		if looked < 1<<20 {
			t.Errorf("%s: only %d bytes were looked at", program, looked)
		}
		t.Logf("%s: nothing in %d bytes", program, looked)
	}
	h.StopSuite()
}

func derOf(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// searchMemory returns which of the parts are in what a process can write, and
// how much that is.
func searchMemory(t *testing.T, h *testhost.Host, program string, parts map[string][]byte) (found []string, looked int) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", h.OuterPID(h.Find(program)[0].PID))
	mapped, err := os.ReadFile(proc + "maps")
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open(proc + "mem")
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	for line := range strings.Lines(string(mapped)) {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if !strings.HasPrefix(mode, "rw") {
			continue
		}
		text, _ := io.ReadAll(io.NewSectionReader(memory, int64(from), int64(to-from))) // some of the kernel's cannot be read
		looked += len(text)
		for name, part := range parts {
			if bytes.Contains(text, part) && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return found, looked
}
