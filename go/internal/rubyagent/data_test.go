package rubyagent

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestDataPlugin(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "", "plugin.choria.ruby.mode", mode)
			p := r.data["fsize"]
			if p == nil {
				t.Fatalf("data plugin not loaded\n%s", r.log)
			}
			if out := p.DDL.Output["size"]; p.DDL.Query == nil || p.DDL.Query.MaxLength != 120 || out == nil || string(out.Default) != "0" {
				t.Errorf("description: %+v", p.DDL)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := p.Ask(ctx, "/")
			if err != nil || got["present"] != true || got["size"].(float64) <= 0 {
				t.Errorf("/: %v, %v", got, err)
			}
			got, err = p.Ask(ctx, "/no/such/file")
			if err != nil || got["present"] != false || got["size"] != 0.0 {
				t.Errorf("/no/such/file: %v, %v", got, err)
			}
			for query, want := range map[string]string{"/fail": "told to fail", "/slow": "took more than 1 seconds", strings.Repeat("x", 121): "longer than 120"} {
				if _, err := p.Ask(ctx, query); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v; want %q", query, err, want)
				}
			}
			short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := p.Ask(short, "/slow"); err == nil {
				t.Error("/slow within 100 ms: no error")
			}
		})
	}
}
