package nemesis

import (
	"fmt"
	"strings"
	"time"

	"tribune/sim"
)

// Describe says what a strike does to whom.
func (c Cast) Describe(s Strike, hits []string) string {
	who := strings.Join(hits, ", ")
	if r, ok := c.role(who); ok {
		who = r.Words
	}
	switch who {
	case here:
		who = "that node"
	case peer:
		who = "the node on the other side"
	}
	if k, ok := c.kind(s.Kind); ok && k.Words != "" {
		return fmt.Sprintf(k.Words, who)
	}
	only := ""
	if s.Protocol != "" {
		only = " for " + s.Protocol
	}
	switch s.Kind {
	case "partition":
		return s.describePartition(who, hits) + only
	case "flap":
		return fmt.Sprintf("the links of %s fail for %v of every %v", who, s.By.Round(time.Millisecond), s.Period.Round(time.Millisecond))
	case "loss":
		return fmt.Sprintf("links of %s lose %.1f %%, duplicate %.1f %% and reorder %.1f %% of packets%s", who, 100*s.Rate, 100*s.Duplicate, 100*s.Reorder, only)
	case "slow-link":
		return fmt.Sprintf("the links of %s are slower by %v", who, s.By.Round(time.Millisecond))
	case "gray":
		return fmt.Sprintf("packets of more than %d bytes to and from %s are lost", s.Size, who)
	case "reset":
		return fmt.Sprintf("all connections of %s are reset", who)
	case "kill":
		return fmt.Sprintf("kill -9 of %s", who)
	case "power":
		return fmt.Sprintf("power failure of %s", who)
	case "restart":
		return fmt.Sprintf("%s stops in order and is started again", who)
	case "pause":
		return fmt.Sprintf("%s is paused", who)
	case "clock-jump":
		return fmt.Sprintf("the clock of %s jumps by %v", who, s.By.Round(time.Millisecond))
	case "clock-drift":
		return fmt.Sprintf("the clock of %s goes at %s of true time", who, sim.ClockAt(s.Rate).Rate())
	case "disk-full":
		return fmt.Sprintf("the disk of %s is full", who)
	case "disk-slow":
		return fmt.Sprintf("an fsync of %s takes %v in the median", who, s.By.Round(time.Millisecond))
	case "bit-rot":
		return fmt.Sprintf("%d bits flip on the disk of %s, which is killed and starts again", s.Size, who)
	case "disk-stall":
		return fmt.Sprintf("the disk of %s does not answer", who)
	}
	return fmt.Sprintf("syncs of %s fail with probability %.3f", who, s.Rate)
}

func (s Strike) describePartition(who string, hits []string) string {
	switch s.Shape {
	case "halves":
		half := len(hits) / 2
		return fmt.Sprintf("a partition between %s and %s", strings.Join(hits[:half], ", "), strings.Join(hits[half:], ", "))
	case "ring":
		return "a partition in which each server sees only its neighbours in the ring " + who
	case "bridge":
		return "a partition into halves that only " + who + " still reaches both of"
	case "one-way":
		if s.cuts() == inward {
			return who + " hears nothing from the other servers, which hear it"
		}
		return "the other servers hear nothing from " + who + ", which hears them"
	}
	return "the network cuts " + who + " off from the other servers"
}
