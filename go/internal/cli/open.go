package cli

import (
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/config"
)

// open opens the client that the flags describe.
func (e *env) open() (*client.Client, error) {
	o := client.Options{Config: e.config, Log: e.log(), Stdin: e}
	o.Set = map[string]string{}
	if e.federations != "" {
		o.Set["plugin.choria.federation.collectives"] = e.federations
	}
	if e.connectTimeout > 0 {
		o.Set["plugin.choria.network.connect_timeout"] = time.Duration(e.connectTimeout).String()
	}
	return client.Open(e.ctx, o)
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
