package agent

import (
	"context"
	"time"

	"choria.io/choria/go/ddl"
)

// A DataPlugin answers questions about a node, in compound filters as in
// name("query").output == value, in the conditions of policies and by rpcutil#get_data.
type DataPlugin struct {
	// DDL describes the plugin: its name, whether it takes a query, and its outputs.
	DDL *ddl.Data

	// Ask returns the outputs. query is empty when there is none. It is called concurrently, for
	// every filter that names the plugin, whoever sent it: policies are asked later. It must
	// return when ctx ends, which is after Timeout.
	Ask func(ctx context.Context, query string) (map[string]any, error)

	// Timeout is how long a query may take. Zero means the timeout of the description, at least one
	// second.
	Timeout time.Duration
}
