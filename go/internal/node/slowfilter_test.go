package node_test

import (
	"context"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/transport"
)

// A data plugin that takes its time, however many filters ask it, keeps nobody waiting whose filter
// does not ask.
func TestSlowDataPluginInFilter(t *testing.T) {
	description, err := ddl.ParseData([]byte(`{"metadata":{"name":"tide","description":"d","author":"a","license":"l","version":"1","url":"u","timeout":600},
		"query":null,"output":{"high":{"description":"d","display_as":"High"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	const running, waiting, tooMany = 16, 256, 5
	asked := make(chan struct{}, running+waiting+tooMany) // holds one for each that may ask
	turned := make(chan struct{})
	url := labtest.Broker(t)
	n := run(t, options(t, url, "n1.example.net"))
	if err := n.InstallData(&agent.DataPlugin{DDL: description, Ask: func(ctx context.Context, _ string) (map[string]any, error) {
		asked <- struct{}{}
		select {
		case <-turned:
		case <-ctx.Done():
		}
		return map[string]any{"high": true}, ctx.Err()
	}}); err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, url)
	subject := transport.NodeSubject("mcollective", "n1.example.net")

	want := make(map[string]bool) // the requests that shall be answered
	for i := range running + waiting + tooMany {
		r := rpc("rpcutil", "ping", "")
		r.Filter.Compound = []filter.Compound{{Expr: "tide().high"}}
		c.send(subject, r)
		if i < running {
			select {
			case <-asked:
			case <-time.After(patience):
				t.Fatalf("filter %d of %d does not ask", i+1, running)
			}
		}
		if i < running+waiting {
			want[r.ID] = true
		}
		// Its answer is the first one although all that came before it are waiting.
		if got := c.call("n1.example.net", "rpcutil", "ping", ""); got.status != agent.OK {
			t.Fatalf("ping beside %d filters that wait: %d %s", i+1, got.status, got.message)
		}
	}
	if n := len(asked); n != 0 {
		t.Errorf("%d filters ask at once, want %d", running+n, running)
	}
	close(turned)
	for len(want) > 0 {
		got := c.next()
		if !want[got.RequestID] {
			t.Fatalf("reply to a request that was answered already, or that there was no room for")
		}
		delete(want, got.RequestID)
	}
	if got := get[map[string]any](c, "rpcutil", "daemon_stats", ""); got["filtered"] != float64(tooMany) {
		t.Errorf("%v requests are counted as filtered, want the %d there was no room for", got["filtered"], tooMany)
	}
}
