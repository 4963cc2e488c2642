package client_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
)

// tell answers as a node that knows of traces: it says event before the reply, or in place of it.
func tell(event, reason string, andReply bool) func(*fakeNodes, string, *protocol.Transport, *protocol.Request) {
	return func(f *fakeNodes, node string, tr *protocol.Transport, r *protocol.Request) {
		payload, err := (&protocol.Trace{RequestID: r.ID, Component: "server", Identity: node, Event: event, Reason: reason, Time: time.Now()}).
			Encode(tr.Version, tr.Hops, tr.Federation)
		if err == nil {
			err = f.conn.Publish(tr.ReplyTo, payload)
		}
		if err != nil {
			f.t.Error(err)
		}
		if andReply {
			f.reply(node, tr, r, "pong")
		}
	}
}

func TestTrace(t *testing.T) {
	clients, london, paris := labtest.TLSBroker(t), labtest.TLSBroker(t), labtest.TLSBroker(t)
	join(t, "london", clients, london)
	join(t, "paris", clients, paris)
	newNodes(t, london, tell(client.Received, "", true), "n1.example.net")
	newNodes(t, london, tell(client.Dropped, "too late", false), "n2.example.net")
	newNodes(t, london, tell(client.Received, "", false), "n3.example.net")
	newNodes(t, london, func(*fakeNodes, string, *protocol.Transport, *protocol.Request) {}, "n4.example.net")
	newNodes(t, paris, ok, "n5.example.net") // of a release that knows nothing of traces
	for _, tt := range []struct {
		name, node, federations string
		silent                  bool // nobody ends it before its timeout
		answered                bool
		london, paris           string // state of the sites
		last                    string
	}{
		{"answered", "n1.example.net", "london, paris", false, true, client.Delivered, client.Absent, ""},
		{"answered without a word", "n5.example.net", "london, paris", false, true, client.Absent, client.Delivered, ""},
		{"not accepted", "n2.example.net", "london, paris", true, false, client.Delivered, client.Absent, "n2.example.net, which received the request and did not accept it: too late"},
		{"reply lost", "n3.example.net", "london, paris", true, false, client.Delivered, client.Absent, "n3.example.net, which received the request and answers it; the reply was lost"},
		{"silent node", "n4.example.net", "london, paris", true, false, client.Delivered, client.Absent, "federation broker fed-london.example.net of london, which delivered the request to mcollective.node.n4.example.net"},
		{"not connected", "n9.example.net", "london, paris", false, false, client.Absent, client.Absent, "no node of that name is connected there: nobody listens on mcollective.node.n9.example.net"},
		{"not connected, and a site away", "n9.example.net", "nowhere, paris", false, false, "", client.Absent, "federation broker fed-paris.example.net of paris; no node of that name is connected there: nobody listens on mcollective.node.n9.example.net; of nowhere no federation broker is connected"},
		{"no federation broker", "n1.example.net", "nowhere", false, false, "", "", "which says that no federation broker of nowhere is connected"},
		{"one without federation broker", "n1.example.net", "london, nowhere", false, true, client.Delivered, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := federated(t, clients, tt.federations)
			var tr *client.Trace
			trace := func(timeout time.Duration) (err error) {
				if tr, err = c.Trace(t.Context(), tt.node, client.TraceOptions{Timeout: timeout}); err != nil {
					return err
				}
				if tr.Answered() != tt.answered {
					return fmt.Errorf("answered is %v: %+v", tr.Answered(), tr)
				}
				for _, s := range tr.Sites {
					want := map[string]string{"london": tt.london, "paris": tt.paris, "nowhere": client.Unserved}[s.Site]
					if s.State != want {
						return fmt.Errorf("%s is %s; want %s", s.Site, s.State, want)
					}
				}
				if !tt.answered && !strings.Contains(tr.LastSeen(), tt.last) {
					return fmt.Errorf("last seen: %s; want %s", tr.LastSeen(), tt.last)
				}
				return nil
			}
			if tt.silent {
				patiently(t, trace)
			} else {
				start := time.Now()
				if err := trace(limit); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took > limit/2 {
					t.Errorf("took %v; want it to end when all is known", took)
				}
			}
			if !tt.answered {
				last := tr.LastSeen()
				// Who is named is who was farthest, and no other site that has no such node.
				if r, ok := tr.Farthest(); ok && !strings.Contains(last, r.From) || ok != (len(tr.Heard) > 0) {
					t.Errorf("farthest is %+v; last seen: %s", r, last)
				}
				return
			}
			var route []string
			for _, s := range tr.Route {
				name, _, _ := strings.Cut(s.Processor, " ")
				route = append(route, name)
			}
			// The fake nodes add no hops and bring none back.
			if len(route) == 0 || !slices.Contains([]string{"fed-london.example.net", "fed-paris.example.net"}, route[len(route)-1]) {
				t.Errorf("route %v", route)
			}
		})
	}
}

func TestTraceWithoutFederation(t *testing.T) {
	site := labtest.TLSBroker(t)
	newNodes(t, site, tell(client.Received, "", true), "n1.example.net")
	newNodes(t, site, func(*fakeNodes, string, *protocol.Transport, *protocol.Request) {}, "n2.example.net")
	c := open(t, site)
	tr, err := c.Trace(t.Context(), "n1.example.net", client.TraceOptions{})
	if err != nil || !tr.Answered() || len(tr.Sites) != 0 {
		t.Errorf("%+v, %v", tr, err)
	}
	tr, err = c.Trace(t.Context(), "n9.example.net", client.TraceOptions{})
	if err != nil || tr.Answered() || !strings.Contains(tr.LastSeen(), site.URL+", which says that no node of that name is connected") {
		t.Errorf("%+v, %v: %s", tr, err, tr.LastSeen())
	}
	patiently(t, func(timeout time.Duration) error {
		tr, err := c.Trace(t.Context(), "n2.example.net", client.TraceOptions{Timeout: timeout})
		if err != nil || tr.Answered() || !strings.Contains(tr.LastSeen(), "which delivered the request to mcollective.node.n2.example.net") {
			return fmt.Errorf("%+v, %v: %s", tr, err, tr.LastSeen())
		}
		return nil
	})
	if _, err := c.Trace(t.Context(), "n*", client.TraceOptions{}); err == nil {
		t.Error("a wildcard is accepted as a node")
	}
}
