package task

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"choria.io/choria/go/internal/playbook/props"
)

// A graphite task records an event in Graphite: a webhook whose body has the time.
type graphite struct {
	*webhook
	event graphiteEvent
}

// A graphiteEvent is what the events endpoint of Graphite takes.
// Source: https://graphite.readthedocs.io/en/latest/events.html
type graphiteEvent struct {
	What string `json:"what"`
	Tags string `json:"tags"`
	When int64  `json:"when"` // seconds since 1970 UTC
	Data string `json:"data"`
}

func newGraphite(_ *Env, p *props.Props) attempter {
	g := &graphite{webhook: &webhook{call: newCall(p, "graphite", ""), name: "graphite_event"}}
	g.event = graphiteEvent{What: p.Required("what"), Data: p.Required("data"), Tags: "choria"}
	if p.Has("tags") {
		g.event.Tags = strings.Join(p.Strings("tags"), ",")
	}
	g.set(p.Headers("headers"))
	if g.header.Get("Content-Type") == "" {
		g.header.Set("Content-Type", "application/json")
	}
	return g
}

// attempt sends the event with the time of this try.
func (g *graphite) attempt(ctx context.Context, env *Env) attempt {
	g.event.When = time.Now().Unix()
	g.body, _ = json.Marshal(g.event) // strings and a number
	return g.webhook.attempt(ctx, env)
}
