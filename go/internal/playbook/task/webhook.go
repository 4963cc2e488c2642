package task

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"choria.io/choria/go/internal/playbook/props"
)

// A webhook task sends a request to an HTTP server.
type webhook struct {
	*call
	name   string // of the task, in messages
	expect []int  // statuses that are a success; empty: 200 to 299
	parse  bool
}

func newWebhook(_ *Env, p *props.Props) attempter {
	w := &webhook{call: newCall(p, "uri", ""), name: "webhook", parse: p.Bool("parse", false)}
	w.method = strings.ToUpper(p.Text("method", http.MethodPost))
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if !slices.Contains(methods, w.method) {
		p.Refuse("method", "want one of %s, got %q", strings.Join(methods, " "), w.method)
	}
	if !p.Switch("verify_ssl", true) {
		if w.tls == nil {
			w.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		w.tls.InsecureSkipVerify = true
	}
	w.expect = statuses(p)
	switch data, ok := p.Get("data"); {
	case w.method == http.MethodGet:
		w.url.RawQuery = query(p, w.url.RawQuery)
	case ok || w.method != http.MethodDelete:
		if !ok {
			data = map[string]any{}
		}
		w.post(p, data)
	}
	w.set(p.Headers("headers"))
	return w
}

// post makes data the body of the request.
func (w *webhook) post(p *props.Props, data any) {
	var err error
	if w.body, err = json.Marshal(data); err != nil {
		p.Refuse("data", "cannot be written as JSON")
	}
	w.header.Set("Content-Type", "application/json")
}

// statuses reads expect: one status, or an array of them.
func statuses(p *props.Props) []int {
	value, ok := p.Get("expect")
	if !ok {
		return nil
	}
	items, isList := value.([]any)
	if !isList {
		items = []any{value}
	}
	var list []int
	for _, item := range items {
		n, err := strconv.Atoi(fmt.Sprint(item))
		if err != nil || n < 100 || n > 999 {
			p.Refuse("expect", "want a status of HTTP such as 201, got %s", props.Show(item))
		}
		list = append(list, n)
	}
	return list
}

// query adds data to the query of a URL. What is in an array is added under one name.
func query(p *props.Props, before string) string {
	values := url.Values{}
	for name, value := range p.Map("data") {
		items, ok := value.([]any)
		if !ok {
			items = []any{value}
		}
		for _, item := range items {
			switch item := item.(type) {
			case string:
				values.Add(name, item)
			case json.Number, bool:
				values.Add(name, fmt.Sprint(item))
			default:
				p.Refuse("data", "%s cannot be part of a URL: want text, a number, true or false for %q", props.Show(item), name)
			}
		}
	}
	return strings.Trim(before+"&"+values.Encode(), "&")
}

func (w *webhook) attempt(ctx context.Context, env *Env) attempt {
	env.Log.Notice("Sending %s to %s", w.method, shown(w.url))
	a, err := w.send(ctx)
	result := Result{Host: w.url.Hostname()}
	if a != nil {
		result.Value = string(a.body)
	}
	switch {
	case err == nil && !w.expected(a.status):
		err = fmt.Errorf("the server answered %s", a.statusText())
	case err == nil && w.parse:
		if result.Value, err = parsed(a.body); err != nil {
			result.Value = string(a.body)
		}
	}
	if err == nil {
		message := fmt.Sprintf("%s: %s to %s succeeded: %s", w.name, w.method, shown(w.url), a.statusText())
		return attempt{results: []Result{result}, success: true, message: message, request: a.id}
	}
	message := fmt.Sprintf("%s: %s to %s failed: %s", w.name, w.method, shown(w.url), err)
	details := map[string]any{"task": w.name, "uri": shown(w.url), "method": w.method}
	out := attempt{message: message}
	if a != nil {
		details["request_id"], out.request = a.id, a.id
	}
	if a != nil && a.status != 0 {
		details["status"] = a.status
	}
	result.Error = &Failure{Msg: message, Kind: KindTask, Details: details}
	out.results = []Result{result}
	return out
}

func (w *webhook) expected(status int) bool {
	if len(w.expect) > 0 {
		return slices.Contains(w.expect, status)
	}
	return status >= 200 && status <= 299
}

// parsed is the JSON of an answer; an empty one, such as that of 204, is nothing.
func parsed(body []byte) (any, error) {
	if len(body) == 0 {
		return nil, nil
	}
	if !json.Valid(body) {
		return nil, fmt.Errorf("the answer is not JSON")
	}
	return json.RawMessage(body), nil
}
