package progress

import (
	"fmt"
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// Order is what somebody wants for some messages.
type Order struct {
	manage.Order
	From    Client
	At      time.Time
	Results chan manage.Result // has room for all
}

// Edit is an order for one message.
type Edit struct {
	*Order
	manage.Target
	// Restate says that what is on disk may not be durable: an earlier order failed
	// and could not be taken back, or an earlier process wrote it. It is made durable
	// with this one, also if there is nothing to do: that answer is a promise, too.
	Restate bool
}

// Answer says what became of e.
func (e Edit) Answer(o manage.Outcome, format string, args ...any) {
	e.Results <- manage.Result{ID: e.ID, Outcome: o, Text: fmt.Sprintf(format, args...)}
}

// Record is what a progress file is to say of e.
func (e Edit) Record(kind queuedir.RecordKind, indexes []int) []byte {
	return queuedir.AppendOrder(nil, queuedir.Record{Kind: kind, Indexes: indexes, Text: e.Text}, e.From.UID, e.At)
}

// Client is who asks: the kernel says so.
type Client struct {
	UID      uint32
	Operator bool
}

// Owns reports whether c may have a message that uid has handed in.
func (c Client) Owns(uid uint32) bool { return c.Operator || c.UID == uid }
