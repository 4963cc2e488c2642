package cli

import (
	"encoding/json"
	"errors"
	"time"

	"choria.io/choria/go/client"
)

// linesFormat writes a JSON object a line, as things happen. Its member k says what happened.
type linesFormat struct {
	quiet
	enc *json.Encoder
}

func (f *linesFormat) begin(s *show) {
	f.quiet.begin(s)
	f.enc = json.NewEncoder(s.out)
}

func (f *linesFormat) discovering() {
	_ = f.enc.Encode(map[string]any{"k": "discovery", "dm": f.method})
}

func (f *linesFormat) found() error {
	return f.enc.Encode(map[string]any{"k": "discovery", "dm": f.method, "count": f.discovered, "dt": f.discoveryTime.Seconds()})
}

func (f *linesFormat) reply(r client.Reply) error {
	envelope := map[string]any{"senderid": r.Sender, "agent": f.call.agent.Metadata.Name, "time": r.Time.Unix()}
	return f.enc.Encode(map[string]any{
		"k":  "result",
		"pr": map[string]any{"protocol": "choria:reply:1", "envelope": envelope},
		"rr": newJSONReply(r),
	})
}

func (f *linesFormat) end() error {
	if err := f.enc.Encode(map[string]any{"k": "summaries", "agg": f.jsonSummaries()}); err != nil {
		return err
	}
	return f.enc.Encode(map[string]any{"k": "stats", "stat": f.jsonStats()})
}

// failed writes the error where the program that reads the lines finds it, and keeps the exit status.
func (f *linesFormat) failed(err error) error {
	if err == nil {
		return nil
	}
	var ex *exit
	if errors.As(err, &ex) && ex.err == nil {
		return err
	}
	if werr := f.enc.Encode(map[string]any{"k": "error", "err": err.Error(), "time_utc": time.Now().Unix()}); werr != nil {
		return err
	}
	code := exitFailed
	if ex != nil {
		code = ex.code
	}
	return &exit{code: code}
}
