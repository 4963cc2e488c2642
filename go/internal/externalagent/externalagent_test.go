package externalagent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/externalagent"
	"choria.io/choria/go/internal/hotload"
)

// patience is for what has to happen, on a machine that is busy with the tests of many packages.
const patience = 60 * time.Second

// A logBuffer may be written and read concurrently.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// A host holds what a node would.
type host struct {
	t       *testing.T
	dir     string // of agents
	watcher *hotload.Watcher
	runner  *externalagent.Runner
	log     *logBuffer
	agents  map[string]*agent.Agent
	data    map[string]*agent.DataPlugin
}

func (h *host) Install(a *agent.Agent) error {
	h.agents[a.DDL.Metadata.Name] = a
	return nil
}
func (h *host) Uninstall(name string) { delete(h.agents, name) }

func (h *host) InstallData(p *agent.DataPlugin) error {
	h.data[p.DDL.Metadata.Name] = p
	return nil
}
func (h *host) UninstallData(name string) { delete(h.data, name) }

// newHost returns a host with the agents of a library directory, empty meaning a new one.
func newHost(t *testing.T, lib string) *host {
	t.Helper()
	if lib == "" {
		lib = t.TempDir()
	}
	h := &host{
		t: t, dir: filepath.Join(lib, "mcollective", "agent"), log: &logBuffer{},
		agents: make(map[string]*agent.Agent), data: make(map[string]*agent.DataPlugin),
	}
	log := slog.New(slog.NewTextHandler(h.log, nil))
	h.runner = &externalagent.Runner{
		ConfigFile:      "/etc/choria/server.conf",
		Facts:           func() json.RawMessage { return json.RawMessage(`{"country":"mt"}`) },
		ActivationLimit: patience,
		Log:             log,
	}
	h.watcher = &hotload.Watcher{Dirs: []string{lib}, Host: h, Log: log, Providers: []hotload.Provider{h.runner}, Interval: time.Millisecond}
	return h
}

const description = `{"metadata":{"name":"NAME","description":"d","author":"a","license":"l","version":"VERSION","url":"u","timeout":5,"provider":"external"},
 "actions":[{"action":"go","description":"d","input":{
   "word":{"prompt":"p","description":"The word","type":"string","optional":false,"validation":"^[a-z]+$","maxlength":5},
   "n":{"prompt":"p","description":"d","type":"integer","optional":true}},
  "output":{"out":{"description":"o","display_as":"Out"},"more":{"description":"o","display_as":"More","default":"dflt"}}},
 {"action":"none","description":"d","input":{},"output":{}}]}`

func describe(name, version string) string {
	return strings.NewReplacer("NAME", name, "VERSION", version).Replace(description)
}

// write writes a file below the directory of agents.
func (h *host) write(name, text string, mode os.FileMode) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	// A program that is being replaced may be running: it must not be written to.
	if err := os.WriteFile(path+".new", []byte(text), mode); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		h.t.Fatal(err)
	}
}

// script is a program that is active and then does what body says.
func script(body string) string {
	return `#!/bin/sh
case "$CHORIA_EXTERNAL_PROTOCOL" in
*activation_request) echo '{"activate":true}' > "$2"; exit 0;;
esac
` + body + "\n"
}

func (h *host) call(name, action, data string, limit time.Duration) (*agent.Reply, error) {
	h.t.Helper()
	a := h.agents[name]
	if a == nil {
		h.t.Fatalf("agent %s is not loaded\n%s", name, h.log)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	reply := &agent.Reply{}
	err := a.Any(ctx, &agent.Request{
		ID: "8648b56ac00c4f30b30c6b4f8e825db3", Agent: name, Action: action, Caller: "choria=rip.mcollective",
		Sender: "rip.mcollective", Collective: "mcollective", Time: time.Unix(1795350467, 0), TTL: time.Minute,
		Data: json.RawMessage(data),
	}, reply)
	return reply, err
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestProtocol holds documents, arguments and environment to the specification.
func TestProtocol(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	seen := t.TempDir()
	h.write("probe.json", describe("probe", "1.0.0"), 0o644)
	h.write("probe", `#!/bin/sh
set -e
kind=${CHORIA_EXTERNAL_PROTOCOL##*.}
env | grep -v -e '^_=' -e '^PWD=' -e '^OLDPWD=' -e '^SHLVL=' | sort > `+seen+`/$kind.env
cp "$1" `+seen+`/$kind.json
printf '%s\n' "$@" > `+seen+`/$kind.args
ls -l "$1" "$2" | cut -c1-10 > `+seen+`/$kind.modes
wc -c < "$2" >> `+seen+`/$kind.modes
pwd -P > `+seen+`/$kind.pwd
[ -z "$CHORIA_EXTERNAL_FACTS" ] || cp "$CHORIA_EXTERNAL_FACTS" `+seen+`/$kind.facts
echo to stdout; echo to stderr >&2
case $kind in
activation_request) echo '{"activate":true}' > "$2";;
*) echo '{"statuscode":0,"statusmsg":"OK","data":{"out":[1,{"a":null}]}}' > "$2";;
esac
`, 0o755)
	h.watcher.Scan(t.Context())
	reply, err := h.call("probe", "go", `{"word":"abc","n":12345678901234567,"process_results":true}`, patience)
	if err != nil {
		t.Fatalf("%v\n%s", err, h.log)
	}
	if data, _ := json.Marshal(reply.Data); reply.Status != 0 || reply.Message != "OK" || string(data) != `{"more":"dflt","out":[1,{"a":null}]}` {
		t.Errorf("reply: %d %q %s", reply.Status, reply.Message, data)
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(seen, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	var request, activation string
	compact := func(name string) string {
		var b bytes.Buffer
		if err := json.Compact(&b, []byte(read(name))); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	request, activation = compact("rpc_request.json"), compact("activation_request.json")
	if want := `{"$schema":"https://choria.io/schemas/mcorpc/external/v1/rpc_request.json","protocol":"io.choria.mcorpc.external.v1.rpc_request",` +
		`"agent":"probe","action":"go","requestid":"8648b56ac00c4f30b30c6b4f8e825db3","senderid":"rip.mcollective","callerid":"choria=rip.mcollective",` +
		`"collective":"mcollective","ttl":60,"msgtime":1795350467,"data":{"n":12345678901234567,"word":"abc"}}`; request != want {
		t.Errorf("request %s; want %s", request, want)
	}
	if want := `{"$schema":"https://choria.io/schemas/mcorpc/external/v1/activation_request.json","agent":"probe",` +
		`"protocol":"io.choria.mcorpc.external.v1.activation_request"}`; activation != want {
		t.Errorf("activation %s; want %s", activation, want)
	}
	tmp, _ := filepath.EvalSymlinks(os.TempDir())
	for _, kind := range []string{"rpc_request", "activation_request"} {
		args := strings.Split(read(kind+".args"), "\n")
		if len(args) != 3 || args[2] != "io.choria.mcorpc.external.v1.rpc_request" {
			t.Errorf("%s: arguments %q", kind, args)
			continue
		}
		facts := ""
		if kind == "rpc_request" {
			facts = filepath.Join(filepath.Dir(args[0]), "facts.json")
		}
		want := strings.Join([]string{
			"CHORIA_EXTERNAL_CONFIG=/etc/choria/plugin.d/probe",
			"CHORIA_EXTERNAL_FACTS=" + facts,
			"CHORIA_EXTERNAL_PROTOCOL=io.choria.mcorpc.external.v1." + kind,
			"CHORIA_EXTERNAL_REPLY=" + args[1],
			"CHORIA_EXTERNAL_REQUEST=" + args[0],
			"PATH=" + os.Getenv("PATH"),
		}, "\n")
		if got := read(kind + ".env"); got != want {
			t.Errorf("%s: environment\n%s\nwant\n%s", kind, got, want)
		}
		if got := read(kind + ".modes"); got != "-rw-------\n-rw-------\n0" {
			t.Errorf("%s: modes and size of the reply %q", kind, got)
		}
		if got := read(kind + ".pwd"); got != tmp {
			t.Errorf("%s: directory %s, want %s", kind, got, tmp)
		}
		for _, file := range args[:2] {
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Errorf("%s is still there", file)
			}
		}
	}
	if got := read("rpc_request.facts"); got != `{"country":"mt"}` {
		t.Errorf("facts %s", got)
	}
	for _, want := range []string{`level=INFO msg="program of the plugin wrote"`, `line="to stdout"`, "level=ERROR", `line="to stderr"`} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, h.log)
		}
	}
}

func TestInputs(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.write("x.json", describe("x", "1.0.0"), 0o644)
	h.write("x", script(`echo '{"statuscode":0,"statusmsg":"OK"}' > "$2"`), 0o755)
	h.watcher.Scan(t.Context())
	for data, want := range map[string]string{
		`{}`:                     "word",
		`{"word":"ABC"}`:         "word",
		`{"word":"abcdef"}`:      "longer than 5",
		`{"word":1}`:             "not a string",
		`{"word":"a","n":1.5}`:   "not an integer",
		`{"word":"a","other":1}`: "takes n, word",
		`[]`:                     "want a JSON object",
		`null`:                   "want a JSON object",
	} {
		_, err := h.call("x", "go", data, patience)
		if !strings.Contains(message(err), want) {
			t.Errorf("%s: %v; want %q", data, err, want)
		}
	}
	if _, err := h.call("x", "none", `{"a":1}`, patience); !strings.Contains(message(err), "takes none") {
		t.Errorf("action without inputs: %v", err)
	}
	if _, err := h.call("x", "nosuch", `{}`, patience); err == nil || err.(*agent.Error).Status != agent.UnknownAction {
		t.Errorf("unknown action: %v", err)
	}
	if reply, err := h.call("x", "none", ``, patience); err != nil || reply.Status != 0 {
		t.Errorf("no data: %v %v", reply, err)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.write("x.json", describe("x", "1.0.0"), 0o644)
	pid := filepath.Join(t.TempDir(), "pid")
	for body, want := range map[string]string{
		"exit 3":                          "exit status 3 after",
		"echo broken >&2; exit 1":         `standard error: "broken"`,
		"true":                            "has written none",
		`echo garbage > "$2"`:             "want a JSON object",
		`echo '{"statuscode":' > "$2"`:    "unexpected end",
		`echo '{"statuscode":9}' > "$2"`:  "status 9",
		`echo '{"data":[]}' > "$2"`:       "cannot unmarshal",
		`rm "$2"`:                         "no such file",
		"kill -9 $$":                      "signal: killed after",
		"head -c 17000000 /dev/zero > $2": "larger than",
		"while :; do echo x; done":        "killed after",
		"sleep 600 & echo $! > " + pid + "; trap '' TERM; wait": "killed after",
	} {
		h.write("x", script(body), 0o755)
		h.watcher.Scan(t.Context())
		limit := patience
		if strings.HasPrefix(want, "killed") {
			limit = 2 * time.Second
		}
		_, err := h.call("x", "go", `{"word":"a"}`, limit)
		// On a machine that is busy that may have been before the program began.
		for strings.Contains(body, pid) && limit < patience {
			if text, _ := os.ReadFile(pid); strings.HasSuffix(string(text), "\n") {
				break
			}
			limit *= 4
			_, err = h.call("x", "go", `{"word":"a"}`, limit)
		}
		if e, is := err.(*agent.Error); !is || e.Status != agent.Aborted || !strings.Contains(e.Message, want) || len(e.Message) > 4<<10 {
			t.Errorf("%s: %.300v; want %q", body, err, want)
		}
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	child, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("process %d, which the killed program started, is still there", child)
		}
	}
	h.write("x", script(`echo '{"statuscode":4,"statusmsg":"own words","data":{"out":1}}' > "$2"`), 0o755)
	h.watcher.Scan(t.Context())
	reply, err := h.call("x", "go", `{"word":"a"}`, patience)
	if data, _ := json.Marshal(reply.Data); err != nil || reply.Status != 4 || reply.Message != "own words" || string(data) != `{"out":1}` {
		t.Errorf("own failure: %v %d %q %s", err, reply.Status, reply.Message, data)
	}
}

func TestActivation(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.write("x.json", describe("x", "1.0.0"), 0o644)
	for body, want := range map[string]bool{
		`echo '{"activate":true}' > "$2"`:         true,
		`echo '{"activate":false}' > "$2"`:        false,
		`echo '{}' > "$2"`:                        false,
		`echo '{"activate":"yes"}' > "$2"`:        false,
		`echo no > "$2"`:                          false,
		`echo '{"activate":true}' > "$2"; exit 1`: false,
	} {
		h.write("x", "#!/bin/sh\n"+body+"\n", 0o755)
		h.watcher.Scan(t.Context())
		if got := h.agents["x"] != nil; got != want {
			t.Errorf("%s: active %v, want %v\n%s", body, got, want, h.log)
		}
	}
	// One that does not say it in time is asked again.
	busy := filepath.Join(t.TempDir(), "busy")
	if err := os.WriteFile(busy, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	h.runner.ActivationLimit = time.Second
	h.write("x", "#!/bin/sh\n[ ! -e "+busy+" ] || sleep 600\necho '{\"activate\":true}' > \"$2\"\n", 0o755)
	h.watcher.Scan(t.Context())
	if h.agents["x"] != nil || !strings.Contains(h.log.String(), "it will be tried again") {
		t.Errorf("one that does not answer is loaded, or not told of\n%s", h.log)
	}
	h.runner.ActivationLimit = patience
	if err := os.Remove(busy); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); h.agents["x"] == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not asked again\n%s", h.log)
		}
		h.watcher.Scan(t.Context())
	}
	h.write("x", "#!/bin/sh\n", 0o644)
	h.watcher.Scan(t.Context())
	if h.agents["x"] != nil || !strings.Contains(h.log.String(), "permission denied") {
		t.Errorf("a program that is not executable is loaded, or is not told of\n%s", h.log)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	answer := func(text string) string {
		return script(`echo '{"statuscode":0,"statusmsg":"` + text + `"}' > "$2"`)
	}
	platform := runtime.GOOS + "_" + runtime.GOARCH
	h.write("flat.json", describe("flat", "1"), 0o644)
	h.write("flat", answer("flat"), 0o755)
	h.write("own/own.json", describe("own", "1"), 0o644)
	h.write("own/own", answer("own"), 0o755)
	h.write("multi.json", describe("multi", "1"), 0o644)
	h.write("multi/multi-"+platform, answer("multi"), 0o755)
	h.write("multi/multi-plan9_mips", answer("wrong"), 0o755)
	h.write("both/both.json", describe("both", "1"), 0o644)
	h.write("both/both/both-"+platform, answer("both"), 0o755)
	for name, in := range map[string]string{
		"deep": "a/b/deep", "other": "elsewhere/other", "tmpd": "tmp/tmpd", "gone": "gone", "misnamed": "misnamed",
	} {
		described := name
		if name == "misnamed" {
			described = "another"
		}
		h.write(in+".json", describe(described, "1"), 0o644)
		if name != "gone" {
			h.write(in, answer("wrong"), 0o755)
		}
	}
	h.write("ruby.json", strings.Replace(describe("ruby", "1"), `"external"`, `"ruby"`, 1), 0o644)
	h.write("ruby", answer("wrong"), 0o755)
	h.watcher.Refused = []string{"rpcutil"}
	h.write("rpcutil.json", describe("rpcutil", "1"), 0o644)
	h.write("rpcutil", answer("wrong"), 0o755)
	h.watcher.Scan(t.Context())
	for _, name := range []string{"flat", "own", "multi", "both"} {
		if reply, err := h.call(name, "go", `{"word":"a"}`, patience); err != nil || reply.Message != name {
			t.Errorf("%s: %q, %v", name, reply.Message, err)
		}
	}
	if len(h.agents) != 4 {
		t.Errorf("%d agents, want 4\n%s", len(h.agents), h.log)
	}
}

// TestExamples runs what users are shown.
func TestExamples(t *testing.T) {
	t.Parallel()
	lib, err := filepath.Abs("../../../examples/agents")
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, lib)
	h.watcher.Scan(t.Context())
	var data struct {
		Path                 string
		Total, Free, Seconds int64
		Used, Load           float64
		Full                 bool
	}
	answer := func(name, action, inputs string) *agent.Reply {
		t.Helper()
		reply, err := h.call(name, action, inputs, patience)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, h.log)
		}
		text, _ := json.Marshal(reply.Data)
		if err := json.Unmarshal(text, &data); err != nil {
			t.Fatal(err)
		}
		return reply
	}
	if reply := answer("disk", "usage", `{"path":"/"}`); reply.Status != 0 || data.Total <= 0 || data.Free > data.Total || data.Full {
		t.Errorf("disk: %+v %+v", reply, data)
	}
	if reply := answer("disk", "usage", `{"path":"/","limit":-1}`); reply.Status != 1 || !data.Full {
		t.Errorf("disk above the limit: %+v %+v", reply, data)
	}
	if reply := answer("disk", "usage", `{"path":"/no/such"}`); reply.Status != 1 || !strings.Contains(reply.Message, "No such file") {
		t.Errorf("disk of no directory: %+v", reply)
	}
	if reply := answer("uptime", "show", `{}`); reply.Status != 0 || data.Seconds <= 0 {
		t.Errorf("uptime: %+v %+v", reply, data)
	}
	if got, err := h.ask("mount", "/proc"); err != nil || got["mounted"] != true || got["type"] != "proc" {
		t.Errorf("mount: %v, %v", got, err)
	}
	if got, err := h.ask("mount", "/no/such"); err != nil || got["mounted"] != false || got["type"] != "" {
		t.Errorf("mount of no directory: %v, %v", got, err)
	}
}
