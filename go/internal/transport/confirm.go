package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// ErrDenied is returned by PublishConfirmed for subjects that this client may not publish to.
var ErrDenied = errors.New("the broker does not allow it")

// PublishConfirmed sends data to subject and returns once the broker has it, or has refused it. Whether anybody
// listens is not known.
func (c *Conn) PublishConfirmed(ctx context.Context, subject string, data []byte) error {
	nc := c.nc.Load()
	before := nc.LastError()
	if err := c.Publish(subject, data); err != nil {
		return err
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	// What the broker refuses it says before it answers the flush.
	after := nc.LastError()
	if after != before && errors.Is(after, nats.ErrPermissionViolation) && strings.Contains(after.Error(), `"`+subject+`"`) {
		return fmt.Errorf("publish to %s: %w", subject, ErrDenied)
	}
	return nil
}
