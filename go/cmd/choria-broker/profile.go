package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"
)

// profile serves the profiler of Go to this machine alone, until ctx ends. Port 0 serves nothing.
func profile(ctx context.Context, port int, log *slog.Logger) error {
	if port == 0 {
		<-ctx.Done()
		return nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return &hinted{fmt.Errorf("plugin.choria.network.pprof_port: %w", err), "set another port, or 0 for no profiler"}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { srv.Close() }) // profiles that are being made are of no use then
	defer stop()
	log.Info("serving the profiler", "address", ln.Addr().String())
	if err := srv.Serve(ln); ctx.Err() == nil {
		return fmt.Errorf("profiler: %w", err)
	}
	return nil
}
