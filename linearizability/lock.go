package linearizability

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// LockKind says what an operation on a lock or a session does.
type LockKind string

// The operations.
const (
	LockAcquire LockKind = "acquire"
	LockRelease LockKind = "release"
	LockRead    LockKind = "read"    // who holds the lock, with which token
	LockRenew   LockKind = "renew"   // Done: the session is alive
	LockDestroy LockKind = "destroy" // ends the session
)

// LockOp is an operation on one lock, or on a session that may hold it, as its
// client saw it.
type LockOp struct {
	Client  int           `json:"client"`
	Kind    LockKind      `json:"kind"`
	Session string        `json:"session,omitempty"`
	Outcome Outcome       `json:"outcome"`
	Call    time.Duration `json:"call"`
	Return  time.Duration `json:"return"`
	Error   string        `json:"error,omitempty"`

	// What was returned.
	Done   bool   `json:"done,omitempty"`
	Gone   bool   `json:"gone,omitempty"`   // of an acquire: refused, since the session has ended
	Holder string `json:"holder,omitempty"` // of a read: a session; empty: none
	Token  uint64 `json:"token,omitempty"`  // of a read: the LockIndex
}

// CheckLock judges a history of one lock and of the sessions that want it. At first
// the lock is free, nobody had it yet, and all sessions are alive.
//
// A session may end at any moment, by itself, and then it stays ended and what it
// held is free. A free lock goes to a session that is alive and asks; it is refused
// only while a lock-delay lasts, that is, if the last holder's session ended and
// nobody had the lock since. Each acquisition has the token after the last one's.
func CheckLock(history []LockOp, budget Budget) Result {
	r := Result{Verdict: Holds, checked: map[string]checked{}}
	all, w := lockCalls(history)
	r.Ops = len(all)
	if r.judge("lock", lockModel(w), closed(all), budget); r.Verdict != Undecided {
		return r
	}
	all = slices.DeleteFunc(all, func(c call) bool {
		o := c.what.(LockOp)
		return o.Kind == LockAcquire && o.Outcome == OK && !o.Done && !o.Gone
	})
	r = Result{Verdict: Holds, Ops: r.Ops, Relaxed: []string{"lock"}, checked: map[string]checked{}}
	r.judge("lock", lockModel(w), closed(all), budget)
	return r
}

// lockCalls chooses the operations that say something, and finds out about the
// sessions in them.
func lockCalls(history []LockOp) ([]call, wanters) {
	w := wanters{number: map[string]int{}, owner: map[uint64]int{}, proofs: map[int]int{}}
	var all []call
	for _, o := range history {
		if o.Outcome == Failed || o.Outcome == Unknown && o.Kind != LockAcquire && o.Kind != LockRelease {
			continue // without an answer a destroyed session is one that may end by itself
		}
		for _, s := range []string{o.Session, o.Holder} {
			if s != "" && w.number[s] == 0 {
				w.number[s] = len(w.number) + 1
			}
		}
		if o.Holder != "" {
			w.owner[o.Token] = w.number[o.Holder]
		}
		if o.Kind == LockRead {
			w.reads = append(w.reads, o.Token)
		}
		if s := o.Alive(); s != "" {
			w.proofs[w.number[s]]++
		}
		all = append(all, call{o.Client, o.Call, o.Return, o.Outcome, o})
	}
	slices.Sort(w.reads)
	return all, w
}

// Alive is the session that an answer proves to be alive; "" if there is none.
func (o LockOp) Alive() string {
	switch {
	case o.Outcome != OK:
	case o.Kind == LockRead:
		return o.Holder
	case o.Done && o.Kind != LockDestroy:
		return o.Session
	}
	return ""
}

// wanters are the sessions of a history: their numbers, from 1, which of them was seen
// to have a token, the tokens of all reads in order, and how many answers prove of each
// that it is alive. Only the session that was seen with a token can have got it, a token
// can only be handed out when all that read an earlier one have, and a session can only
// end after all that proves it to be alive. To know so early makes the search short:
// otherwise each acquisition of unknown outcome is tried before a read or a renewal that
// comes too late then, and so are all subsets of them (storm, seeds 14, 18 and 31).
type wanters struct {
	number map[string]int
	owner  map[uint64]int
	reads  []uint64
	proofs map[int]int
}

// earlier counts the reads of tokens before one.
func (w wanters) earlier(token uint64) int {
	n, _ := slices.BinarySearch(w.reads, token)
	return n
}

// lock is the state of a lock and of the sessions, by their numbers.
type lock struct {
	holder  int // 0: it is free
	token   uint64
	delayed bool   // it may be refused although it is free
	reads   int    // that came before
	left    string // of each session in turn, in perSession bytes: how many proofs are to come that it is alive; or over
	closed  bool
}

const (
	perSession = 4
	over       = "\xff\xff\xff\xff" // it has ended
)

// proofs is what stands in left for so many.
func proofs(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }

// of is what stands in left for a session.
func (l lock) of(session int) string {
	return l.left[session*perSession : (session+1)*perSession]
}

// put has something else stand there.
func (l lock) put(session int, is string) lock {
	l.left = l.left[:session*perSession] + is + l.left[(session+1)*perSession:]
	return l
}

// prove takes in a proof that a session is alive, and reports whether it can be.
func (l lock) prove(session int) (lock, bool) {
	is := l.of(session)
	if is == over {
		return l, false
	}
	return l.put(session, proofs(int(binary.BigEndian.Uint32([]byte(is)))-1)), true
}

// end ends a session, and reports whether it can: nothing that is to come proves it to
// be alive.
func (l lock) end(session int) (lock, bool) {
	if is := l.of(session); is != over && is != proofs(0) {
		return l, false
	}
	l = l.put(session, over)
	if l.holder == session {
		l.holder, l.delayed = 0, true
	}
	return l, true
}

func lockModel(w wanters) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any {
			l := lock{left: strings.Repeat(proofs(0), len(w.number)+1)}
			for session, n := range w.proofs {
				l = l.put(session, proofs(n))
			}
			return []any{l}
		},
		Step: func(state, input, _ any) []any {
			l := state.(lock)
			o, ok := input.(LockOp)
			if !ok {
				l.closed = true
				return []any{l}
			}
			return l.step(o, w)
		},
		Equal:             func(a, b any) bool { return a == b },
		DescribeOperation: func(input, _ any) string { return describeLockOp(input) },
		DescribeState: func(state any) string {
			l := state.(lock)
			return fmt.Sprintf("session %d, token %d, delayed: %t", l.holder, l.token, l.delayed)
		},
	}
	return m.ToModel()
}

// step returns the states that an operation can leave. A session ends as late as
// can be: where the operation makes no sense while its holder, or the session that
// it is about, lives on. (An order in which it ends earlier makes as much sense.)
func (l lock) step(o LockOp, w wanters) []any {
	if o.Outcome == Unknown && l.closed {
		return []any{l}
	}
	next, ok := l.carry(o, w)
	if !ok && l.holder != 0 {
		if next, ok = l.end(l.holder); ok {
			next, ok = next.carry(o, w)
		}
	}
	if !ok {
		return nil
	}
	return []any{next}
}

// carry carries out an operation and reports whether what it returned can be. One
// of unknown outcome comes before the end only if it takes effect.
func (l lock) carry(o LockOp, w wanters) (lock, bool) {
	if s := o.Alive(); s != "" {
		var ok bool
		if l, ok = l.prove(w.number[s]); !ok {
			return l, false
		}
	}
	session := w.number[o.Session]
	takesEffect := o.Done || o.Outcome == Unknown
	switch {
	case o.Kind == LockAcquire && takesEffect:
		return l.acquire(session, w)
	case o.Kind == LockAcquire && !o.Gone:
		return l, l.holder != session && (l.holder != 0 || l.delayed)
	case o.Kind == LockRelease && takesEffect:
		held := l.holder == session
		l.holder, l.delayed = 0, false
		return l, held
	case o.Kind == LockRelease:
		return l, l.holder != session
	case o.Kind == LockRead:
		fits := l.holder == w.number[o.Holder] && l.token == o.Token
		l.reads++
		return l, fits
	case o.Kind == LockRenew && o.Done:
		return l, true
	}
	return l.end(session)
}

func (l lock) acquire(session int, w wanters) (lock, bool) {
	switch {
	case l.of(session) == over:
		return l, false
	case l.holder == session:
		return l, true
	case l.holder != 0:
		return l, false
	}
	l.holder, l.token, l.delayed = session, l.token+1, false
	owner := w.owner[l.token]
	return l, (owner == 0 || owner == session) && l.reads == w.earlier(l.token)
}

func describeLockOp(input any) string {
	o, ok := input.(LockOp)
	if !ok {
		return "the end"
	}
	session := o.Session
	if len(session) > 8 {
		session = session[:8]
	}
	switch {
	case o.Outcome == Unknown:
		return fmt.Sprintf("%s %s → ?", o.Kind, session)
	case o.Kind == LockRead:
		return fmt.Sprintf("read → %s with token %d", o.Holder, o.Token)
	case o.Gone:
		return fmt.Sprintf("%s %s → it has ended", o.Kind, session)
	}
	return fmt.Sprintf("%s %s → %t", o.Kind, session, o.Done)
}
