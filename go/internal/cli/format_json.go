package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"choria.io/choria/go/client"
)

// jsonReply is a reply in JSON results.
type jsonReply struct {
	Sender  string          `json:"sender"`
	Action  string          `json:"action"`
	Status  int             `json:"statuscode"`
	Message string          `json:"statusmsg"`
	Data    json.RawMessage `json:"data"`
	Time    int64           `json:"time_utc"`
}

func newJSONReply(r client.Reply) jsonReply {
	return jsonReply{r.Sender, r.Action, int(r.Status), r.Message, r.Data, r.Time.Unix()}
}

// jsonStats are the statistics in JSON results. Times are in nanoseconds.
type jsonStats struct {
	RequestID    string        `json:"requestid"`
	NoResponses  []string      `json:"no_responses"`
	Unexpected   []string      `json:"unexpected_responses"`
	Discovered   int           `json:"discovered"`
	Failed       int           `json:"failed"`
	OK           int           `json:"ok"`
	Responses    int           `json:"responses"`
	PublishTime  time.Duration `json:"publish_time"`
	RequestTime  time.Duration `json:"request_time"`
	DiscoverTime time.Duration `json:"discover_time"`
	Start        int64         `json:"start_time_utc"`
}

func (s *show) jsonStats() jsonStats {
	list := func(names []string) []string {
		if names == nil {
			return []string{} // [] and not null
		}
		return names
	}
	start := s.stats.Start
	if start.IsZero() {
		start = time.Now()
	}
	return jsonStats{
		RequestID:    s.stats.RequestID,
		NoResponses:  list(s.stats.NoResponse),
		Unexpected:   list(s.stats.Unexpected),
		Discovered:   s.discovered,
		Failed:       s.stats.Failed,
		OK:           s.stats.OK,
		Responses:    s.stats.Responses,
		PublishTime:  s.stats.PublishTime,
		RequestTime:  s.stats.RequestTime,
		DiscoverTime: s.discoveryTime,
		Start:        start.Unix(),
	}
}

// jsonSummaries are the aggregates in JSON results, by output.
func (s *show) jsonSummaries() map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for _, sum := range s.aggregator().Summaries() {
		if sum.Value != nil {
			out[sum.Output] = sum.Value
		}
	}
	return out
}

// jsonIndent is the indentation of JSON results.
const jsonIndent = "   "

// jsonFormat writes one JSON document, reply by reply, so that its length needs no memory.
type jsonFormat struct {
	quiet
	opened  bool
	replies int
}

// found writes an empty result when there is nobody to ask, so that a request that reads it from its
// standard input knows that there are no nodes, and does not go looking for all.
func (f *jsonFormat) found() error {
	if f.discovered > 0 {
		return nil
	}
	return f.end()
}

func (f *jsonFormat) open() error {
	if f.opened {
		return nil
	}
	f.opened = true
	_, err := fmt.Fprintf(f.out, "{\n%[1]s\"agent\": %[2]q,\n%[1]s\"action\": %[3]q,\n%[1]s\"replies\": [", jsonIndent, f.call.agent.Metadata.Name, f.call.action.Name)
	return err
}

func (f *jsonFormat) reply(r client.Reply) error {
	if err := f.open(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(newJSONReply(r), jsonIndent+jsonIndent, jsonIndent)
	if err != nil {
		return err
	}
	comma := ""
	if f.replies > 0 {
		comma = ","
	}
	f.replies++
	_, err = fmt.Fprintf(f.out, "%s\n%s%s%s", comma, jsonIndent, jsonIndent, text)
	return err
}

func (f *jsonFormat) end() error {
	if err := f.open(); err != nil {
		return err
	}
	stats, err := json.MarshalIndent(f.jsonStats(), jsonIndent, jsonIndent)
	if err != nil {
		return err
	}
	summaries, err := json.MarshalIndent(f.jsonSummaries(), jsonIndent, jsonIndent)
	if err != nil {
		return err
	}
	last := "]"
	if f.replies > 0 {
		last = "\n" + jsonIndent + "]"
	}
	_, err = fmt.Fprintf(f.out, "%[1]s,\n%[2]s\"request_stats\": %[3]s,\n%[2]s\"summaries\": %[4]s\n}\n", last, jsonIndent, stats, summaries)
	return err
}
