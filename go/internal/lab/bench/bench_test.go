package bench_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab"
	"choria.io/choria/go/internal/lab/bench"
	"choria.io/choria/go/internal/lab/labtest"
)

func TestMain(m *testing.M) { os.Exit(labtest.Main(m)) }

// TestRun measures a small network. How fast a machine that runs tests is says nothing, but nothing may be
// lost, and no scenario may find a fault.
func TestRun(t *testing.T) {
	const nodes, repeat = 60, 2
	report, err := bench.Run(t.Context(), lab.Network{Nodes: nodes, Brokers: 2, Bin: labtest.Binaries(t)},
		bench.Options{Repeat: repeat, Measure: true, Scenarios: bench.Scenarios, Steady: time.Second, Rest: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string]int{
		"connect": 1, "ping": repeat, "discovery": repeat, "rpc": repeat, "rpc_discovery": repeat, "rpc_filter": repeat, "rpc_clients": repeat,
		"broker_memory": 1, "node_memory": 1, "broker_memory_busy": 1, "node_memory_busy": 1, "reconnect_one": 1, "reconnect_all": 1, "lost": 1, "duplicates": 1,
		"floor_broadcast": repeat, "floor_directed": repeat, "ping_ratio": repeat, "rpc_ratio": repeat,
		"broker-killed": 1, "slow-client": 1, "stalled-client": 1, "vanishing-client": 1, "flooding-node": 1, "steady_growth": 1,
	} {
		row := report.Row(name)
		if row == nil {
			t.Errorf("%s was not measured", name)
			continue
		}
		if len(row.Values) != values || row.Min > row.Median || row.Median > row.Max {
			t.Errorf("%s: %+v; want %d values", name, row, values)
		}
		if len(row.Faults) > 0 {
			t.Errorf("%s: %s", name, strings.Join(row.Faults, "; "))
		}
		if row.Unit == "s" && row.Min <= 0 {
			t.Errorf("%s took %v s", name, row.Min)
		}
	}
	if len(report.Row("steady").Values) < 10 {
		t.Errorf("%d requests were made in a second and more; want 10", len(report.Row("steady").Values))
	}
	formats(t, report)
}

// formats holds that a report can be read in all its formats.
func formats(t *testing.T, report *bench.Report) {
	t.Helper()
	var out bytes.Buffer
	if err := report.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var again bench.Report
	if err := json.Unmarshal(out.Bytes(), &again); err != nil || len(again.Rows) != len(report.Rows) {
		t.Errorf("JSON holds %d results, %v; want %d", len(again.Rows), err, len(report.Rows))
	}
	out.Reset()
	if err := report.CSV(&out); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&out).ReadAll()
	values := 0
	for _, row := range report.Rows {
		values += len(row.Values)
	}
	if err != nil || len(lines) != values+1 {
		t.Errorf("CSV has %d lines, %v; want %d", len(lines), err, values+1)
	}
	out.Reset()
	if err := report.SVG(&out); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(&out); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("SVG: %v", err)
		}
	}
	out.Reset()
	if err := report.Text(&out); err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if !strings.Contains(out.String(), row.What) {
			t.Errorf("text does not name %q", row.What)
		}
	}
}

// A scenario that is not there is an error, and leaves nothing running.
func TestUnknownScenario(t *testing.T) {
	_, err := bench.Run(t.Context(), lab.Network{Nodes: 2, Brokers: 1, Bin: labtest.Binaries(t)}, bench.Options{Scenarios: []string{"earthquake"}})
	if err == nil || err.Error() != "scenario earthquake: there is no such scenario" {
		t.Errorf("error is %v", err)
	}
}

// What misses a budget is named, with the budget beside the figure.
func TestMissedBudget(t *testing.T) {
	budget := 2.0
	r := &bench.Report{Rows: []*bench.Row{
		{Name: "quick", What: "a quick thing", Unit: "s", Median: 1, Budget: &budget},
		{Name: "slow", What: "a slow thing", Unit: "s", Median: 3, Budget: &budget, Missed: true},
	}}
	if got := r.Missed(); !slices.Equal(got, []string{"slow"}) {
		t.Errorf("missed %v; want slow", got)
	}
	var out strings.Builder
	if err := r.Text(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "≤ 2  MISSED") || !strings.Contains(out.String(), "missed: slow") {
		t.Errorf("the text does not say what was missed:\n%s", out.String())
	}
}
