package discovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// external asks another program. The option command, otherwise
// plugin.choria.discovery.external.command, is the program with its arguments; other options are
// passed on to it.
var external = Method{
	Name:    "external",
	Options: nil,
	Find:    findExternally,
}

// What the request and the reply of a discovery program are called on the wire (protocol section
// 7.10).
const (
	externalRequest = "io.choria.choria.discovery.v1.external_request"
	externalReply   = "io.choria.choria.discovery.v1.external_reply"
	externalSchema  = "https://choria.io/schemas/choria/discovery/v1/external_request.json"
)

func findExternally(ctx context.Context, env *Env, q Query) ([]string, error) {
	line := q.Options["command"]
	if line == "" {
		line = env.setting("plugin.choria.discovery.external.command")
	}
	args, err := splitCommand(line)
	if err != nil {
		return nil, fmt.Errorf("command %q: %w", line, err)
	}
	if len(args) == 0 {
		return nil, errors.New("no command given: want the option command=COMMAND or plugin.choria.discovery.external.command")
	}
	dir, err := os.MkdirTemp("", "choria-discovery")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	timeout := max(q.Timeout, time.Second)
	options := maps.Clone(q.Options)
	if options == nil {
		options = map[string]string{}
	}
	delete(options, "command")
	request, err := json.Marshal(map[string]any{
		"$schema":     externalSchema,
		"protocol":    externalRequest,
		"collective":  q.Collective,
		"federations": []string{},
		"filter":      q.Filter,
		"options":     options,
		"timeout":     timeout.Seconds(),
	})
	if err != nil {
		return nil, err
	}
	in, out := filepath.Join(dir, "request.json"), filepath.Join(dir, "reply.json")
	if err := os.WriteFile(in, request, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(out, nil, 0o600); err != nil {
		return nil, err
	}
	if err := runExternal(ctx, timeout, dir, append(args, in, out, externalRequest), in, out); err != nil {
		return nil, err
	}
	return readExternal(out, args[0])
}

// runExternal runs a discovery program until it ends or timeout has passed.
func runExternal(ctx context.Context, timeout time.Duration, dir string, args []string, in, out string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{
		"CHORIA_EXTERNAL_REQUEST=" + in,
		"CHORIA_EXTERNAL_REPLY=" + out,
		"CHORIA_EXTERNAL_PROTOCOL=" + externalRequest,
		"PATH=" + os.Getenv("PATH"),
	}
	cmd.WaitDelay = time.Second // for grandchildren that keep the pipe open
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("%s: not done after %v", args[0], timeout)
	case err != nil:
		text := strings.TrimSpace(stderr.String())
		if len(text) > 500 {
			text = text[:500]
		}
		return fmt.Errorf("%s: %w: %s", args[0], err, text)
	}
	return nil
}

// readExternal reads what a discovery program found.
func readExternal(path, program string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var reply struct {
		Protocol string   `json:"protocol"`
		Nodes    []string `json:"nodes"`
		Error    string   `json:"error"`
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return nil, fmt.Errorf("%s: reply: %w", program, err)
	}
	if reply.Error != "" {
		return nil, fmt.Errorf("%s: %s", program, reply.Error)
	}
	if reply.Protocol != externalReply {
		return nil, fmt.Errorf("%s: reply has protocol %q, want %q", program, reply.Protocol, externalReply)
	}
	return reply.Nodes, nil
}

// splitCommand splits a command line as a shell does, with quotes and backslashes but nothing else.
func splitCommand(line string) ([]string, error) {
	var (
		args  []string
		arg   strings.Builder
		quote rune
		in    bool // in an argument
		skip  bool // after a backslash
	)
	for _, c := range line {
		switch {
		case skip:
			arg.WriteRune(c)
			skip = false
		case c == '\\' && quote != '\'':
			in, skip = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			arg.WriteRune(c)
		case c == '\'' || c == '"':
			in, quote = true, c
		case c == ' ' || c == '\t' || c == '\n':
			if in {
				args = append(args, arg.String())
				arg.Reset()
				in = false
			}
		default:
			in = true
			arg.WriteRune(c)
		}
	}
	if quote != 0 || skip {
		return nil, errors.New("unfinished quote")
	}
	if in {
		args = append(args, arg.String())
	}
	return args, nil
}
