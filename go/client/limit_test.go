package client

import (
	"fmt"
	"slices"
	"testing"
)

func TestLimit(t *testing.T) {
	five := []string{"n3", "n1", "n5", "n2", "n4"}
	tests := []struct {
		limit Limit
		want  []string
		err   string
	}{
		{Limit{}, five, ""},
		{Limit{Count: "2"}, []string{"n1", "n2"}, ""},
		{Limit{Count: "50%", Method: "first"}, []string{"n1", "n2"}, ""},
		{Limit{Count: "100%"}, []string{"n1", "n2", "n3", "n4", "n5"}, ""},
		{Limit{Count: "9"}, []string{"n1", "n2", "n3", "n4", "n5"}, ""},
		{Limit{Count: "10%"}, []string{"n1"}, ""},
		{Limit{Count: "0"}, nil, `limit "0": want a number of nodes from 1, or a percentage as in 25%`},
		{Limit{Count: "0%"}, nil, `limit "0%": want a number of nodes from 1, or a percentage as in 25%`},
		{Limit{Count: "-1"}, nil, `limit "-1": want a number of nodes from 1, or a percentage as in 25%`},
		{Limit{Count: "few"}, nil, `limit "few": want a number of nodes from 1, or a percentage as in 25%`},
		{Limit{Count: "101%"}, nil, `limit "101%": more than 100%`},
		{Limit{Count: "1", Method: "last"}, nil, `limit method "last": want first or random`},
	}
	for _, tt := range tests {
		got, err := tt.limit.Of(five)
		if !slices.Equal(got, tt.want) || message(err) != tt.err {
			t.Errorf("%+v: %v, %q; want %v, %q", tt.limit, got, message(err), tt.want, tt.err)
		}
	}
	if got, err := (Limit{Count: "10%"}).Of(nil); len(got) > 0 || err != nil {
		t.Errorf("a limit of no nodes: %v, %v", got, err)
	}
	if !slices.Equal(five, []string{"n3", "n1", "n5", "n2", "n4"}) {
		t.Errorf("the nodes given were reordered: %v", five)
	}
}

func TestLimitSeed(t *testing.T) {
	var nodes []string
	for i := range 100 {
		nodes = append(nodes, fmt.Sprintf("n%02d", i))
	}
	l := Limit{Count: "10", Method: "random", Seed: 7}
	first, err := l.Of(nodes)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(nodes)
	again, err := l.Of(nodes)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first, again) {
		t.Errorf("the same seed chose %v, then %v of the same nodes in another order", first, again)
	}
	l.Seed = 8
	other, err := l.Of(nodes)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(first, other) {
		t.Errorf("seeds 7 and 8 both chose %v", first)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
