package cli

import (
	"encoding/json"
	"fmt"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
)

// sendersFormat writes the names of the nodes with good replies, and nothing else.
type sendersFormat struct {
	quiet
	names []string // for JSON
}

func (f *sendersFormat) reply(r client.Reply) error {
	if r.Status != agent.OK {
		return nil
	}
	if f.cmd.asJSON {
		f.names = append(f.names, r.Sender)
		return nil
	}
	_, err := fmt.Fprintln(f.out, r.Sender)
	return err
}

func (f *sendersFormat) end() error {
	if !f.cmd.asJSON {
		return nil
	}
	if f.names == nil {
		f.names = []string{}
	}
	enc := json.NewEncoder(f.out)
	enc.SetIndent("", "  ")
	return enc.Encode(f.names)
}
