package streams_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/internal/streams"
)

// TestGovernor lets twenty processes through, never more than three at a time.
func TestGovernor(t *testing.T) {
	t.Parallel()
	c := open(t)
	if _, err := c.Governor(limited(t), "cron"); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("before it is there: %v", err)
	}
	if err := c.SetGovernor(limited(t), streams.GovernorConfig{Name: "cron", Collective: "mcollective", Slots: 3, Expire: time.Hour}); err != nil {
		t.Fatal(err)
	}
	g := must[*streams.Governor](t)(c.Governor(limited(t), "cron"))
	info := must[streams.GovernorInfo](t)(g.Info(limited(t)))
	if info.Subject != "mcollective.governor.cron" || info.Slots != 3 || info.Expire != time.Hour || info.Taken != 0 || info.Name != "cron" {
		t.Errorf("%+v", info)
	}
	var within, most atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			slot, err := g.Enter(limited(t), fmt.Sprintf("n%d", i), 10*time.Millisecond)
			if err != nil {
				t.Error(err)
				return
			}
			n := within.Add(1)
			for {
				m := most.Load()
				if n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			within.Add(-1)
			if err := g.Leave(limited(t), slot); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() > 3 {
		t.Errorf("%d at a time; want 3", most.Load())
	}

	var slots []uint64
	for _, who := range []string{"a", "b", "c"} {
		slots = append(slots, must[uint64](t)(g.Try(limited(t), who)))
	}
	if _, err := g.Try(limited(t), "d"); !errors.Is(err, streams.ErrFull) || err.Error() != `governor "cron": all slots are taken` {
		t.Errorf("the fourth: %v", err)
	}
	holders := must[[]streams.Holder](t)(g.Holders(limited(t)))
	if len(holders) != 3 || holders[0].Name != "a" || holders[2].Sequence != slots[2] || holders[1].Since.IsZero() {
		t.Errorf("%+v", holders)
	}
	if who, err := g.Evict(limited(t), slots[1]); err != nil || who != "b" {
		t.Errorf("evicted %q, %v", who, err)
	}
	if _, err := g.Evict(limited(t), slots[1]); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("evicted again: %v", err)
	}
	if err := g.Leave(limited(t), slots[1]); err != nil {
		t.Errorf("leave after it was evicted: %v", err)
	}
	if _, err := g.Try(limited(t), "d"); err != nil {
		t.Errorf("after an eviction: %v", err)
	}

	// What is set again keeps who is there.
	if err := c.SetGovernor(limited(t), streams.GovernorConfig{Name: "cron", Collective: "mcollective", Slots: 4, Expire: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Try(limited(t), "e"); err != nil {
		t.Errorf("a fourth slot: %v", err)
	}
	if list := must[[]streams.GovernorInfo](t)(c.Governors(limited(t))); len(list) != 1 || list[0].Taken != 4 || list[0].Slots != 4 {
		t.Errorf("%+v", list)
	}
	if err := c.DeleteGovernor(limited(t), "cron"); err != nil {
		t.Error(err)
	}
	if err := c.DeleteGovernor(limited(t), "cron"); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("deleted again: %v", err)
	}
	for _, bad := range []streams.GovernorConfig{{Name: "a.b", Slots: 1, Expire: time.Hour}, {Name: "a", Expire: time.Hour}, {Name: "a", Slots: 1}} {
		if err := c.SetGovernor(limited(t), bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestGovernorExpires gives the slot of one that has died to the next.
func TestGovernorExpires(t *testing.T) {
	t.Parallel()
	c := open(t)
	if err := c.SetGovernor(limited(t), streams.GovernorConfig{Name: "x", Collective: "c", Slots: 1, Expire: time.Second}); err != nil {
		t.Fatal(err)
	}
	g := must[*streams.Governor](t)(c.Governor(limited(t), "x"))
	if _, err := g.Try(limited(t), "dies"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Enter(limited(t), "next", 10*time.Millisecond); err != nil {
		t.Errorf("after the first has expired: %v", err)
	}
}
