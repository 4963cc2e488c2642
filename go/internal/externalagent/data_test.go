package externalagent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const dataDescription = `{"metadata":{"name":"NAME","description":"d","author":"a","license":"l","version":"1","url":"u","timeout":5,"provider":"external"},
 "query":QUERY,
 "output":{"out":{"description":"o","display_as":"Out"},"level":{"description":"o","display_as":"Level","default":3}}}`

const dataQuery = `{"prompt":"p","description":"d","type":"string","optional":false,"validation":".","maxlength":20}`

func describeData(name, query string) string {
	return strings.NewReplacer("NAME", name, "QUERY", query).Replace(dataDescription)
}

// ask asks a data plugin that is loaded.
func (h *host) ask(name, query string) (map[string]any, error) {
	h.t.Helper()
	p := h.data[name]
	if p == nil {
		h.t.Fatalf("data plugin %s is not loaded\n%s", name, h.log)
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	return p.Ask(ctx, query)
}

// Data plugins are asked by the same means as agents, come and go as they do, and say what is wrong.
func TestData(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	seen := t.TempDir()
	h.write("../data/probe_data.json", describeData("probe", dataQuery), 0o644)
	h.write("../data/probe", `#!/bin/sh
set -e
kind=${CHORIA_EXTERNAL_PROTOCOL##*.}
cp "$CHORIA_EXTERNAL_REQUEST" `+seen+`/$kind.json
printf '%s\n' "$3" "$CHORIA_EXTERNAL_CONFIG" > `+seen+`/$kind.args
case $kind in
activation_request) echo '{"activate":true}' > "$2";;
*) cp "$CHORIA_EXTERNAL_FACTS" `+seen+`/facts.json
   echo '{"statuscode":0,"statusmsg":"OK","data":{"out":"x"}}' > "$2";;
esac
`, 0o755)
	h.write("../data/still/still.json", describeData("still", "null"), 0o644)
	h.write("../data/still/still", script(`cp "$1" `+seen+`/still.json; echo '{"data":{"level":4}}' > "$2"`), 0o755)
	h.write("../data/off.json", describeData("off", "null"), 0o644)
	h.write("../data/off", "#!/bin/sh\necho '{\"activate\":false}' > \"$2\"\n", 0o755)
	h.write("../data/ruby.json", strings.Replace(describeData("ruby", "null"), "external", "ruby", 1), 0o644)
	h.write("../data/ruby", script(""), 0o755)
	h.watcher.Scan(t.Context())
	if len(h.data) != 2 {
		t.Errorf("%d data plugins are loaded, want probe and still\n%s", len(h.data), h.log)
	}

	if got, err := h.ask("probe", "what"); err != nil || !reflect.DeepEqual(got, map[string]any{"out": "x", "level": 3.0}) {
		t.Errorf("probe: %v, %v", got, err)
	}
	if got, err := h.ask("still", ""); err != nil || !reflect.DeepEqual(got, map[string]any{"level": 4.0}) {
		t.Errorf("still: %v, %v", got, err)
	}
	const protocol = "io.choria.mcorpc.external.v1."
	schema := "https://choria.io/schemas/mcorpc/external/v1/"
	for file, want := range map[string]string{
		"activation_request.json": `{"$schema":"` + schema + `activation_request.json","data":"probe","protocol":"` + protocol + `activation_request"}`,
		"data_request.json":       `{"$schema":"` + schema + `data_request.json","protocol":"` + protocol + `data_request","data":"probe","query":"what"}`,
		"still.json":              `{"$schema":"` + schema + `data_request.json","protocol":"` + protocol + `data_request","data":"still","query":null}`,
		"facts.json":              `{"country":"mt"}`,
		"data_request.args":       protocol + "rpc_request\n/etc/choria/plugin.d/probe\n",
	} {
		text, err := os.ReadFile(filepath.Join(seen, file))
		if err != nil {
			t.Error(err)
			continue
		}
		var b bytes.Buffer
		if json.Compact(&b, text) == nil {
			text = b.Bytes()
		}
		if string(text) != want {
			t.Errorf("%s: %s; want %s", file, text, want)
		}
	}

	for body, want := range map[string]string{
		"exit 3": "data plugin still: still: exit status 3",
		"true":   "has written none",
		`echo '{"statuscode":1,"statusmsg":"no idea"}' > "$2"`: "data plugin still: no idea",
		`echo '[]' > "$2"`: "want a JSON object",
	} {
		h.write("../data/still/still", script(body), 0o755)
		h.watcher.Scan(t.Context())
		if got, err := h.ask("still", ""); !strings.Contains(message(err), want) {
			t.Errorf("%s: %v, %v; want %q", body, got, err, want)
		}
	}
	h.write("../data/still/still", script("sleep 600"), 0o755)
	h.watcher.Scan(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if got, err := h.data["still"].Ask(ctx, ""); !strings.Contains(message(err), "killed after") {
		t.Errorf("one that does not end: %v, %v", got, err)
	}
	if err := os.RemoveAll(filepath.Join(h.dir, "..", "data", "still")); err != nil {
		t.Fatal(err)
	}
	h.watcher.Scan(t.Context())
	if h.data["still"] != nil {
		t.Error("a data plugin that is gone from disk is still loaded")
	}
}
