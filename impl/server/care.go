package server

import (
	"context"
	"time"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/fsm"
)

const (
	careInterval = 5 * time.Second
	leastCare    = time.Minute // that a service is given, as by Consul's agents
	careParts    = 8           // in how many parts of its time a spell is written down
)

// ward is what a leader remembers of the checks that are critical while their
// definition in the catalog says when their service goes: agents look after their
// own services, nobody after these. It counts on its own clock from when it first
// saw a spell, and has written down every eighth of the time how long it has lasted.
// The next leader goes on from there, so that a change of leaders makes a removal
// later, by at most an eighth and a look, and never earlier.
type ward map[bed]watched

type bed struct{ node, check string }

// watched is a spell as it was at a time.
type watched struct {
	spell api.Spell
	at    time.Time
}

// notes looks at all spells and returns what is to be written down.
func (w ward) notes(all []api.HealthCheck, now time.Time) []api.SpellNote {
	var notes []api.SpellNote
	there := map[bed]bool{}
	for _, c := range all {
		key := bed{c.Node, c.CheckID}
		there[key] = true
		if w[key].spell != c.Spell {
			w[key] = watched{c.Spell, now}
		}
		limit := max(time.Duration(c.Definition.DeregisterCriticalServiceAfter), leastCare)
		note := api.SpellNote{Node: c.Node, CheckID: c.CheckID, Spell: c.Spell}
		seen := now.Sub(w[key].at)
		note.Spell.Lasted += seen
		if note.Over = note.Spell.Lasted >= limit; note.Over || seen >= limit/careParts {
			notes = append(notes, note)
		}
	}
	for key := range w {
		if !there[key] {
			delete(w, key)
		}
	}
	return notes
}

// noted takes note of what was written down of a time.
func (w ward) noted(notes []api.SpellNote, at time.Time) {
	for _, n := range notes {
		w[bed{n.Node, n.CheckID}] = watched{n.Spell, at}
	}
}

// care has written down how long checks have been critical, and removes services
// whose time is over.
func (s *Server) care(ctx context.Context, w ward) {
	all, err := catalog.Spells(s.fsm.Store().Read())
	if err != nil {
		s.log.Error("the critical checks could not be read", "error", err)
		return
	}
	now := time.Now()
	notes := w.notes(all, now)
	if len(notes) == 0 {
		return
	}
	for _, n := range notes {
		if n.Over {
			s.log.Info("deregistering a service whose check is critical for too long", "node", n.Node, "check", n.CheckID, "critical", n.Spell.Lasted)
		}
	}
	if _, _, err := s.commit(ctx, fsm.SpellType, api.SpellRequest{Notes: notes}); err != nil && ctx.Err() == nil {
		s.log.Warn("critical checks could not be noted; the next look tries again", "error", err)
	} else if err == nil {
		w.noted(notes, now)
	}
}
