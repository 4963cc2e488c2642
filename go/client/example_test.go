package client_test

import (
	"context"
	"fmt"
	"log"

	"choria.io/choria/go/client"
	"choria.io/choria/go/filter"
)

// Every web server that answers is asked for its family of operating systems.
func Example() {
	ctx := context.Background()
	c, err := client.Open(ctx, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	nodes, err := c.Discover(ctx, client.Discovery{Filter: filter.Filter{Class: []string{"role::web"}, Agent: []string{"rpcutil"}}})
	if err != nil {
		log.Fatal(err)
	}
	run, err := c.Start(ctx, client.Request{
		Agent:  "rpcutil",
		Action: "get_fact",
		Data:   map[string]any{"fact": "os.family"},
		Nodes:  nodes,
	})
	if err != nil {
		log.Fatal(err)
	}
	for reply := range run.Replies() {
		fmt.Println(reply.Sender, reply.Message, string(reply.Data))
	}
	if err := run.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("silent:", run.Stats().NoResponse)
}
