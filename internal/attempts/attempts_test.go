package attempts

import (
	"fmt"
	"testing"
	"time"
)

// at returns a table whose clock the caller moves.
func at() (*Table, *time.Time) {
	now := time.Unix(1_000_000, 0)
	return New(func() time.Time { return now }), &now
}

func fail(t *Table, n int, user, client string) {
	for range n {
		t.Failed(user, client)
	}
}

func TestAddressIsClosed(t *testing.T) {
	t.Parallel()
	table, now := at()
	if wait := table.Failed("joe", "192.0.2.1"); wait != shortest {
		t.Errorf("the first failure waits %v", wait)
	}
	fail(table, maxOfClient-2, "joe", "192.0.2.1")
	if _, closed := table.Closed("jim", "192.0.2.1"); closed {
		t.Error("closed too early")
	}
	if wait := table.Failed("joe", "192.0.2.1"); wait <= shortest || wait > longest {
		t.Errorf("many failures wait %v", wait)
	}
	if wait, closed := table.Closed("jim", "::ffff:192.0.2.1"); !closed || wait != longest {
		t.Errorf("after %d failures: %v, %v", maxOfClient, wait, closed)
	}
	if _, closed := table.Closed("joe", "192.0.2.2"); closed {
		t.Error("the neighbour is closed")
	}
	*now = now.Add(half)
	if _, closed := table.Closed("jim", "192.0.2.1"); closed {
		t.Error("closed for ever")
	}
}

func TestNetworkIsOneAddress(t *testing.T) {
	t.Parallel()
	table, _ := at()
	for i := range maxOfClient {
		table.Failed("joe", fmt.Sprintf("2001:db8::%x", i))
	}
	if _, closed := table.Closed("joe", "2001:db8::ffff"); !closed {
		t.Error("each address of a customer's counts for itself")
	}
	if _, closed := table.Closed("joe", "2001:db8:0:1::1"); closed {
		t.Error("the next customer is closed")
	}
}

func TestNameIsClosed(t *testing.T) {
	t.Parallel()
	table, _ := at()
	table.Succeeded("joe", "198.51.100.7")
	for i := range maxOfUser {
		table.Failed("joe", fmt.Sprintf("192.0.%d.1", i))
	}
	if _, closed := table.Closed("joe", "203.0.113.1"); !closed {
		t.Error("anybody may try joe's password")
	}
	if _, closed := table.Closed("joe", "198.51.100.7"); closed {
		t.Error("joe cannot log in from where he did before")
	}
	fail(table, maxOfClient+1, "joe", "198.51.100.7")
	if _, closed := table.Closed("joe", "198.51.100.7"); !closed {
		t.Error("who has logged in once may guess for ever")
	}
}

// No input makes the table larger than its limits.
func TestTableIsBounded(t *testing.T) {
	t.Parallel()
	table, _ := at()
	fail(table, maxOfClient, "joe", "192.0.2.1")
	for i := range 3 * maxClients / 2 {
		client := fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)
		table.Failed(fmt.Sprint("user ", i), client)
		table.Succeeded(fmt.Sprint("user ", i), client)
	}
	if len(table.clients) > maxClients || len(table.names) > nameCounts || len(table.good) > maxGood {
		t.Errorf("%d addresses, %d names, %d good", len(table.clients), len(table.names), len(table.good))
	}
	if _, closed := table.Closed("joe", "192.0.2.1"); !closed {
		t.Error("an address is forgotten because of others with less failures")
	}
	if _, closed := table.Closed("joe", "not an address"); closed {
		t.Error("who has no address is closed")
	}
}
