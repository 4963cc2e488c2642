package client

import "testing"

func TestFarthest(t *testing.T) {
	absent := Report{From: "a", Site: "london", Event: Absent}
	dropped := Report{From: "b", Site: "berlin", Event: Dropped}
	delivered := Report{From: "c", Site: "paris", Event: Delivered}
	received, refused := Report{From: "n", Event: Received}, Report{From: "n", Event: Dropped}
	for _, tt := range []struct {
		heard []Report
		want  Report
	}{
		{nil, Report{}},
		{[]Report{absent}, absent},
		{[]Report{absent, dropped}, dropped},
		{[]Report{absent, delivered, dropped}, delivered},
		{[]Report{delivered, absent}, delivered},
		{[]Report{received, delivered, absent}, received}, // it came by a shorter way
		{[]Report{received, refused, delivered}, refused},
	} {
		got, ok := (&Trace{Heard: tt.heard}).Farthest()
		if got.From != tt.want.From || got.Event != tt.want.Event || ok != (len(tt.heard) > 0) {
			t.Errorf("%+v: %+v, %v; want %+v", tt.heard, got, ok, tt.want)
		}
	}
}
