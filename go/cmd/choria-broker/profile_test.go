package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"choria.io/choria/go/internal/lab/labtest"
)

func TestProfiler(t *testing.T) {
	port := labtest.Port(t)
	file := conf(t, newSite(t), fmt.Sprintf("plugin.choria.network.pprof_port = %d", port))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"run", "--config", file}, io.Discard) }()
	until(t, "the profiler serves", func() bool {
		r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/goroutine?debug=1", port))
		if err != nil {
			return false
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body) // what is missing is not found
		return strings.Contains(string(body), "goroutine profile: total")
	})
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}
