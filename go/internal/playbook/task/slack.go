package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/playbook/props"
)

// slackURL is where messages are posted. Source: https://api.slack.com/methods/chat.postMessage
const slackURL = "https://slack.com/api/chat.postMessage"

// slackColor is what a color looks like.
var slackColor = regexp.MustCompile(`^(#[0-9a-fA-F]{6}|good|warning|danger)$`)

// A slack task posts a message to a channel of Slack. It is one call that takes and returns JSON, which a library
// would not make shorter.
type slack struct {
	*call
	channel, text string
}

type slackMessage struct {
	Channel     string            `json:"channel"`
	Username    string            `json:"username"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Fallback   string       `json:"fallback"`
	Color      string       `json:"color"`
	Pretext    string       `json:"pretext"`
	Text       string       `json:"text"`
	MarkdownIn []string     `json:"mrkdwn_in"`
	Footer     string       `json:"footer"`
	Time       int64        `json:"ts"`
	Fields     []slackField `json:"fields"`
}

type slackField struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short"`
}

func newSlack(env *Env, p *props.Props) attempter {
	s := &slack{call: newCall(p, "url", slackURL), channel: p.Required("channel"), text: p.Required("text")}
	token := p.Secret("token")
	if token == "" {
		p.Refuse("token", "is required")
	}
	color := p.Text("color", "#ffa449")
	if !slackColor.MatchString(color) {
		p.Refuse("color", "want #rrggbb, good, warning or danger, got %q", color)
	}
	s.header.Set("Content-Type", "application/json; charset=utf-8")
	s.header.Set("Authorization", "Bearer "+token)
	s.body, _ = json.Marshal(slackMessage{ // strings and a number
		Channel: s.channel, Username: p.Text("username", "Choria"),
		Attachments: []slackAttachment{{
			Fallback: s.text, Color: color, Pretext: p.Text("description", "slack task"), Text: s.text,
			MarkdownIn: []string{"text"}, Footer: "Choria Playbooks " + build.Version, Time: time.Now().Unix(),
			Fields: []slackField{{"user", env.caller(), true}, {"playbook", env.Playbook, true}},
		}},
	})
	return s
}

func (s *slack) attempt(ctx context.Context, env *Env) attempt {
	env.Log.Notice("Sending a message to Slack channel %s", s.channel)
	a, err := s.send(ctx)
	result := Result{Host: "slack.com", Value: s.text}
	if err == nil {
		err = s.judge(a)
	}
	out := attempt{success: err == nil, message: fmt.Sprintf("Message was sent to Slack channel %s", s.channel)}
	if a != nil {
		out.request = a.id
	}
	if err != nil {
		out.message = fmt.Sprintf("Message was not sent to Slack channel %s: %s", s.channel, err)
		result.Value = ""
		if a != nil {
			result.Value = answerOf(a.body)
		}
		result.Error = &Failure{Msg: out.message, Kind: KindTask, Details: map[string]any{"channel": s.channel}}
	}
	out.results = []Result{result}
	return out
}

// judge returns why an answer is no success: Slack answers 200 whatever happens, and says ok when it did.
func (s *slack) judge(a *answer) error {
	var reply struct {
		OK     bool   `json:"ok"`
		Reason string `json:"error"`
	}
	switch err := json.Unmarshal(a.body, &reply); {
	case a.status != http.StatusOK:
		return fmt.Errorf("the server answered %s", a.statusText())
	case err != nil:
		return errors.New("the answer is not that of Slack")
	case reply.OK:
		return nil
	case reply.Reason != "":
		return errors.New(reply.Reason)
	}
	return errors.New("the server did not say ok")
}

// answerOf is a body as the value of a result: JSON as what it says, anything else as text.
func answerOf(body []byte) any {
	if json.Valid(body) {
		return json.RawMessage(bytes.TrimSpace(body))
	}
	return string(body)
}
