package agent

import (
	"context"

	"choria.io/choria/go/ddl"
)

// A DataPlugin answers questions about a node, in compound filters as in
// name("query").output == value, in the conditions of policies and by rpcutil#get_data.
type DataPlugin struct {
	// DDL describes the plugin: its name, whether it takes a query, and its outputs.
	DDL *ddl.Data

	// Ask returns the outputs. query is empty when the plugin takes none. It is called concurrently, for
	// every filter that names the plugin, whoever sent it: policies are asked later. It must
	// return when ctx ends, which is after the timeout of the description.
	Ask func(ctx context.Context, query string) (map[string]any, error)
}
