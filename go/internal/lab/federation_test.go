package lab_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/lab"
	"choria.io/choria/go/internal/lab/labtest"
)

// TestFederation builds two sites, each with two federation brokers, and kills one of these while
// requests flow: the other one carries on.
func TestFederation(t *testing.T) {
	n := &lab.Network{Nodes: 5, Federation: 2, FederationBrokers: 2, Bin: labtest.Binaries(t)}
	err := n.Run(t.Context(), func(ctx context.Context, site *lab.Site) error {
		if want := []string{"site1-federation1", "site1-federation2", "site2-federation1", "site2-federation2"}; !slices.Equal(site.FederationBrokers(), want) {
			t.Errorf("federation brokers %v; want %v", site.FederationBrokers(), want)
		}
		c := open(t, site)
		found, err := c.Discover(ctx, client.Discovery{})
		if err != nil || !slices.Equal(found, site.Nodes) {
			t.Errorf("discovered %v, %v; want %v", found, err, site.Nodes)
		}

		const requests = 40
		silent, last := 0, 0
		for i := range requests {
			if i == requests/4 {
				if err := site.Kill("site1-federation1"); err != nil {
					return err
				}
			}
			// Node 1 is at site 1, the last one at site 2.
			s := ask(t, c, client.Request{Agent: "rpcutil", Action: "ping", Nodes: []string{"node1.lab", "node5.lab"}, Timeout: 10 * time.Second})
			if len(s.NoResponse) > 0 {
				silent, last = silent+1, i
			}
		}
		// What the dead one had in its hands is lost.
		if silent > 1 || last > requests/4 {
			t.Errorf("%d of %d requests were not answered by all, the last one being %d", silent, requests, last)
		}

		tr, err := c.Trace(ctx, "node1.lab", client.TraceOptions{})
		if err != nil {
			return err
		}
		var route []string
		for _, s := range tr.Route {
			name, _, _ := strings.Cut(s.Processor, " ")
			route = append(route, name)
		}
		if want := []string{c.Identity(), "site1-federation2.lab", "node1.lab", "site1-federation2.lab"}; !slices.Equal(route, want) {
			t.Errorf("route %v; want %v", route, want)
		}

		// Without any the broker says so at once, and the other site answers.
		if err := site.Kill("site1-federation2"); err != nil {
			return err
		}
		tr, err = c.Trace(ctx, "node1.lab", client.TraceOptions{Timeout: time.Minute})
		if err != nil {
			return err
		}
		if tr.Answered() || !strings.Contains(tr.LastSeen(), "of site1 no federation broker is connected") {
			t.Errorf("answered: %v; last seen: %s", tr.Answered(), tr.LastSeen())
		}
		if err := site.Restart("site1-federation1"); err != nil {
			return err
		}
		eventually(t, "site 1 is back", func() bool {
			tr, err := c.Trace(ctx, "node1.lab", client.TraceOptions{Timeout: 10 * time.Second})
			return err == nil && tr.Answered()
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFederationTooLarge(t *testing.T) {
	for want, n := range map[string]*lab.Network{
		"lab: 3 sites of a federation need as many nodes, not 2":                                  {Federation: 3, Nodes: 2},
		"lab: 5 sites with 3 broker(s) and the broker of the federation are more than 15 brokers": {Federation: 5, Brokers: 3},
		"lab: want at most 64 federation brokers":                                                 {Federation: 4, FederationBrokers: 20},
	} {
		err := n.Run(t.Context(), func(context.Context, *lab.Site) error { return nil })
		if err == nil || err.Error() != want {
			t.Errorf("%+v: %v; want %s", n, err, want)
		}
	}
}
