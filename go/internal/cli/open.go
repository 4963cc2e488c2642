package cli

import (
	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/config"
)

// open opens the client that the flags describe.
func (e *env) open() (*client.Client, error) {
	return client.Open(e.ctx, client.Options{Config: e.config, Log: e.log(), Stdin: e})
}

// colored reports whether the configuration allows colours.
func colored(c *client.Client) bool {
	value, ok := c.Setting("color")
	if !ok {
		return true
	}
	on, err := config.ParseBool(value)
	return err != nil || on
}
