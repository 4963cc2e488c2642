package task

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
	"choria.io/choria/go/ddl"
)

// maxNesting is how deep the data of a reply may nest to reach a plan: Puppet recurses over it.
const maxNesting = 100

// A tally gathers the replies of one request and judges them.
type tally struct {
	*request
	id        string
	nodes     []string
	results   []Result
	failed    []string // one line a failed node
	good      int
	aggregate *ddl.Aggregator
}

// reply is the value of a result, as plans see it.
type reply struct {
	Agent   string          `json:"agent"`
	Action  string          `json:"action"`
	Sender  string          `json:"sender"`
	Status  agent.Status    `json:"statuscode"`
	Message string          `json:"statusmsg"`
	Data    json.RawMessage `json:"data"`
	Request string          `json:"requestid"`
}

func (t *tally) add(log Logger, r client.Reply) {
	value := reply{t.agent, t.action, r.Sender, r.Status, r.Message, data(r.Data), t.id}
	result := Result{Host: r.Sender, Value: value}
	status, message := r.Status, r.Message
	if status == agent.OK && nesting(r.Data) > maxNesting {
		status, message = agent.InvalidData, fmt.Sprintf("the data of the reply is nested deeper than %d", maxNesting)
		value.Data = json.RawMessage("{}")
		result.Value = value
	}
	if status == agent.OK {
		t.good++
		if t.aggregate != nil {
			t.aggregate.Add(value.Data)
		}
		if !t.silent {
			log.Notice("%s %s: %s", r.Sender, t.name(), value.Data)
		}
	} else {
		details := t.details()
		details["issue_code"] = status
		result.Error = &Failure{Msg: message, Kind: KindTask, Details: details}
		t.failed = append(t.failed, fmt.Sprintf("%s: %s", r.Sender, message))
		log.Warning("%s %s failed: %s: %s", r.Sender, t.name(), message, value.Data)
	}
	if t.replies.Match(r) {
		t.results = append(t.results, result)
	}
}

// data returns what can be put into a JSON document in place of the data of a reply.
func data(raw json.RawMessage) json.RawMessage {
	if !json.Valid(raw) {
		return json.RawMessage("{}")
	}
	if !utf8.Valid(raw) {
		return json.RawMessage(strings.ToValidUTF8(string(raw), "\uFFFD"))
	}
	return raw
}

// judge says whether the request was a success.
func (t *tally) judge(log Logger, stats client.Stats) (a attempt) {
	for _, node := range stats.NoResponse {
		t.results = append(t.results, Result{Host: node, Value: struct{}{}, Error: &Failure{
			Msg: "no response received", Kind: KindTask, Details: t.details(),
		}})
	}
	a = attempt{request: t.id, results: append(slices.Clone(t.request.good), t.results...)}
	bad := len(t.failed) + len(stats.NoResponse)
	asked := len(t.nodes) + len(t.request.good)
	secs := stats.RequestTime.Seconds()
	if bad > 0 {
		log.Warning("Request %s for %s failed in %.2fs", t.id, t.name(), secs)
		if len(stats.NoResponse) > 0 {
			log.Warning("No responses from: %s", strings.Join(stats.NoResponse, ", "))
		}
		for _, line := range t.failed {
			log.Warning("Failed result from %s", line)
		}
	}
	defer func() {
		if t.retryFailed { // the next try is for all others
			t.request.good = slices.DeleteFunc(slices.Clone(a.results), func(r Result) bool { return r.Error != nil })
		}
	}()
	switch {
	case bad > 0 && bad > t.threshold.Of(asked), t.good == 0:
		a.message = fmt.Sprintf("Failed request %s for %s on %s", t.id, t.name(), failing(bad))
		return a
	case t.assert != nil:
		if n := t.check(log, a.results); n > 0 {
			a.message = fmt.Sprintf("Failed request %s for %s: assertion %q on %s", t.id, t.name(), t.assert, failing(n))
			return a
		}
		log.Notice("Assertion %q passed on %s", t.assert, plural(len(a.results), "node"))
	}
	a.success = true
	a.message = fmt.Sprintf("Successful request %s for %s in %.2fs against %s", t.id, t.name(), secs, plural(t.good, "node"))
	if summary := t.summary(); summary != "" {
		a.message = t.description + ": " + summary
	}
	return a
}

func failing(n int) string { return plural(n, "failing node") }

// check applies the assertion to all good results and gives those that fail it an error.
func (t *tally) check(log Logger, results []Result) (failed int) {
	for i, r := range results {
		value, ok := r.Value.(reply)
		if !ok || r.Error != nil {
			continue
		}
		decoder := json.NewDecoder(strings.NewReader(string(value.Data)))
		decoder.UseNumber()
		var data any
		if err := decoder.Decode(&data); err == nil && t.assert.Match(data) {
			continue
		}
		failed++
		found := map[string]any{}
		var texts []string
		for _, f := range t.assert.Findings(data) {
			text := "missing"
			if f.Found {
				found[f.Key] = f.Value
				b, _ := json.Marshal(f.Value) // decoded JSON always marshals
				text = string(b)
			}
			texts = append(texts, f.Key+" is "+text)
		}
		log.Warning("Assertion %q failed on %s: %s", t.assert, r.Host, strings.Join(texts, ", "))
		details := t.details()
		details["assert"], details["found"] = t.assert.String(), found
		results[i].Error = &Failure{
			Msg: fmt.Sprintf("assertion %q failed: %s", t.assert, strings.Join(texts, ", ")), Kind: KindAssertion, Details: details,
		}
	}
	if failed > 0 {
		log.Warning("Assertion %q failed on %s of %d", t.assert, plural(failed, "node"), len(results))
	}
	return failed
}

// summary merges the values of all aggregates of the action into one JSON object.
func (t *tally) summary() string {
	if t.aggregate == nil {
		return ""
	}
	merged := map[string]json.RawMessage{}
	for _, s := range t.aggregate.Summaries() {
		var values map[string]json.RawMessage
		switch {
		case s.Value == nil:
		case json.Unmarshal(s.Value, &values) == nil && values != nil:
			for key, value := range values {
				merged[key] = value
			}
		default:
			merged[s.Output] = s.Value
		}
	}
	if len(merged) == 0 {
		return ""
	}
	text, err := json.Marshal(merged)
	if err != nil {
		return ""
	}
	return string(text)
}

// nesting returns how deep a JSON document nests.
func nesting(data []byte) (deepest int) {
	depth, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
