package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-memdb"
	"pgregory.net/rapid"

	"tribune/impl/store"
)

// row is what the tests keep: a key, a group that several rows may share, and
// the raft index of the write.
type row struct {
	Key, Group string
	Written    uint64
}

func table(name string) *memdb.TableSchema {
	return &memdb.TableSchema{Name: name, Indexes: map[string]*memdb.IndexSchema{
		"id":    {Name: "id", Unique: true, Indexer: &memdb.StringFieldIndex{Field: "Key"}},
		"group": {Name: "group", Indexer: &memdb.StringFieldIndex{Field: "Group"}},
	}}
}

var tables = []string{"left", "right"}

func newStore(t interface{ Fatal(...any) }) *store.Store {
	s, err := store.New(table("left"), table("right"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reference is the store as plain maps.
type reference struct {
	rows  map[string]map[string]row // by table and key
	index map[string]uint64         // by table
	wrote map[string]uint64         // by table: the last write of a row, whether or not it is still seen
}

func newReference() reference {
	return reference{map[string]map[string]row{"left": {}, "right": {}}, map[string]uint64{}, map[string]uint64{}}
}

func (r reference) clone() reference {
	c := reference{map[string]map[string]row{}, maps.Clone(r.index), maps.Clone(r.wrote)}
	for name, rows := range r.rows {
		c.rows[name] = maps.Clone(rows)
	}
	return c
}

// find returns the rows of a table for which match holds, by key.
func (r reference) find(table string, match func(row) bool) []row {
	var found []row
	for _, key := range slices.Sorted(maps.Keys(r.rows[table])) {
		if match(r.rows[table][key]) {
			found = append(found, r.rows[table][key])
		}
	}
	return found
}

// query is something to read: the row with a key, the rows whose keys begin
// with a prefix, or those of a group.
type query struct{ table, index, arg string }

func (q query) match(r row) bool {
	switch q.index {
	case "id":
		return r.Key == q.arg
	case "group":
		return r.Group == q.arg
	}
	return strings.HasPrefix(r.Key, q.arg)
}

// ask answers a query, with the channel that closes when the answer changes.
func ask(t *rapid.T, tx *store.Txn, q query) ([]row, <-chan struct{}) {
	found := []row(nil)
	if q.index == "id" {
		changed, one, err := tx.First(q.table, "id", q.arg)
		if err != nil {
			t.Fatal(err)
		}
		if one != nil {
			found = append(found, *one.(*row))
		}
		return found, changed
	}
	all, err := tx.Get(q.table, q.index, q.arg)
	if err != nil {
		t.Fatal(err)
	}
	for one := all.Next(); one != nil; one = all.Next() {
		found = append(found, *one.(*row))
	}
	return found, all.WatchCh()
}

// same reports what distinguishes a transaction's view from the reference.
func same(t *rapid.T, tx *store.Txn, want reference) {
	t.Helper()
	for _, name := range tables {
		queries := []query{{name, "id_prefix", ""}, {name, "id_prefix", "a"}, {name, "id_prefix", "ab"}}
		for _, group := range groups {
			queries = append(queries, query{name, "group", group})
		}
		for _, key := range keys {
			queries = append(queries, query{name, "id", key})
		}
		for _, q := range queries {
			if got, _ := ask(t, tx, q); !slices.Equal(got, want.find(name, q.match)) {
				t.Fatalf("%v: the store has %v, the reference %v", q, got, want.find(name, q.match))
			}
		}
		if got, err := tx.Index(name); err != nil || got != want.index[name] {
			t.Fatalf("index of %s: %d, %v; the reference says %d", name, got, err, want.index[name])
		}
	}
	if got, err := tx.Index(tables...); err != nil || got != max(want.index["left"], want.index["right"]) {
		t.Fatalf("index of both: %d, %v; the reference says %v", got, err, want.index)
	}
}

var (
	keys   = []string{"a", "ab", "abc", "abd", "b", "ba", "c"}
	groups = []string{"red", "reds", "blue"}
)

// change draws one change and carries it out on both.
func change(t *rapid.T, tx *store.Txn, to reference, index uint64) {
	name, key := rapid.SampledFrom(tables).Draw(t, "table"), rapid.SampledFrom(keys).Draw(t, "key")
	switch op := rapid.SampledFrom([]string{"insert", "insert", "delete", "prefix", "index"}).Draw(t, "change"); op {
	case "insert":
		r := row{key, rapid.SampledFrom(groups).Draw(t, "group"), index}
		if err := tx.Insert(name, &r); err != nil {
			t.Fatal(err)
		}
		to.rows[name][key], to.wrote[name] = r, index
	case "delete":
		old, there := to.rows[name][key]
		if there {
			to.wrote[name] = index
		}
		if err := tx.Delete(name, &row{Key: key, Group: old.Group}); there != (err == nil) {
			t.Fatalf("deleting %s, which is there %t: %v", key, there, err)
		}
		delete(to.rows[name], key)
	case "prefix":
		q := query{name, "id_prefix", key}
		any, err := tx.DeletePrefix(name, key)
		if err != nil || any != (len(to.find(name, q.match)) > 0) {
			t.Fatalf("deleting the prefix %s of %v: %t, %v", key, to.rows[name], any, err)
		}
		if any {
			to.wrote[name] = index
		}
		maps.DeleteFunc(to.rows[name], func(_ string, r row) bool { return q.match(r) })
	case "index":
		at := index - min(index, rapid.Uint64Range(0, 3).Draw(t, "back"))
		if err := tx.SetIndex(name, at); err != nil {
			t.Fatal(err)
		}
		to.index[name] = max(to.index[name], at)
	}
}

// view is a transaction that was begun, and what it must show for ever.
type view struct {
	tx   *store.Txn
	want reference
}

// watch is a channel that was taken with the answer to a query.
type watch struct {
	query
	answer  []row
	changed <-chan struct{}
}

func (w watch) fired() bool {
	select {
	case <-w.changed:
		return true
	default:
		return false
	}
}

// machine holds a store against the reference.
type machine struct {
	store   *store.Store
	now     reference
	views   []view
	watches []watch
	index   uint64
}

// settle holds every watch against what one step changed. A row that was there
// is watched exactly: its channel closes when the row is written or removed and
// at no other time. Of a range and of an absent row no change is missed, and no
// change of another table tells of one.
func (m *machine) settle(t *rapid.T, before reference) {
	left := m.watches[:0]
	for _, w := range m.watches {
		answer := m.now.find(w.table, w.match)
		changed, exact := !slices.Equal(w.answer, answer), w.index == "id" && len(w.answer) == 1
		quiet := before.wrote[w.table] == m.now.wrote[w.table]
		switch fired := w.fired(); {
		case changed && !fired:
			t.Fatalf("nobody told that %v changed from %v to %v", w.query, w.answer, answer)
		case fired && (exact || quiet) && !changed:
			t.Fatalf("it was told that %v changed, which is still %v", w.query, answer)
		case !fired:
			left = append(left, w)
		}
	}
	m.watches = left
}

// write runs a transaction to its commit or its abort.
func (m *machine) write(t *rapid.T) {
	before, after := m.now, m.now.clone()
	tx := m.store.Write()
	defer tx.Abort() // after a commit it does nothing
	for range rapid.IntRange(0, 5).Draw(t, "changes") {
		m.index++ // every insert writes something new
		change(t, tx, after, m.index)
	}
	same(t, tx, after)
	same(t, m.store.Read(), before)
	m.settle(t, before)
	if rapid.Bool().Draw(t, "commit") {
		tx.Commit()
		m.now = after
	} else {
		tx.Abort()
	}
	m.settle(t, before)
}

func (m *machine) read(*rapid.T) {
	m.views = append(m.views, view{m.store.Read(), m.now.clone()})
}

func (m *machine) watch(t *rapid.T) {
	q := query{rapid.SampledFrom(tables).Draw(t, "table"), rapid.SampledFrom([]string{"id", "id_prefix", "group"}).Draw(t, "index"), ""}
	if q.arg = rapid.SampledFrom(keys).Draw(t, "key"); q.index == "group" {
		q.arg = rapid.SampledFrom(groups).Draw(t, "group")
	}
	answer, changed := ask(t, m.store.Read(), q)
	m.watches = append(m.watches, watch{q, answer, changed})
}

// restore replaces the state, or fails to.
func (m *machine) restore(t *rapid.T) {
	abandoned, after := m.store.Abandoned(), newReference()
	var broken error
	if rapid.Bool().Draw(t, "broken") {
		broken = errors.New("the snapshot is broken")
	}
	err := m.store.Restore(func(tx *store.Txn) error {
		for range rapid.IntRange(0, 5).Draw(t, "changes") {
			m.index++
			change(t, tx, after, m.index)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("restoring: %v", err)
	}
	if told := (watch{changed: abandoned}).fired(); told != (broken == nil) {
		t.Fatalf("restoring gave %v, and whoever watches was told so: %t", broken, told)
	}
	if (watch{changed: m.store.Abandoned()}).fired() {
		t.Fatal("the state is abandoned that was just restored")
	}
	if broken == nil {
		m.now, m.watches = after, nil // the watches are abandoned
	}
}

func TestTheStoreIsItsReferenceWhateverIsDoneToIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := machine{store: newStore(t), now: newReference()}
		t.Repeat(map[string]func(*rapid.T){
			"write": m.write, "write again": m.write, "read": m.read, "watch": m.watch, "watch another": m.watch, "restore": m.restore,
			"": func(t *rapid.T) {
				same(t, m.store.Read(), m.now)
				for _, v := range m.views {
					same(t, v.tx, v.want)
				}
			},
		})
	})
}

func TestReadersSeeWholeTransactionsOfOneWriterAtATime(t *testing.T) {
	const writers, each = 4, 50
	s := newStore(t)
	var wait sync.WaitGroup
	written := func(tx *store.Txn) (sum uint64) {
		for _, name := range tables {
			if _, r, err := tx.First(name, "id", "a"); err != nil {
				t.Error(err)
			} else if r != nil {
				sum += r.(*row).Written
			}
		}
		return sum
	}
	for range writers {
		wait.Go(func() {
			for range each {
				tx := s.Write()
				next := written(tx)/2 + 1
				for _, name := range tables {
					if err := errors.Join(tx.Insert(name, &row{"a", "red", next}), tx.SetIndex(name, next)); err != nil {
						t.Error(err)
					}
				}
				tx.Commit()
			}
		})
		wait.Go(func() {
			for last := uint64(0); last < 2*writers*each; {
				tx := s.Read()
				sum := written(tx)
				index, err := tx.Index(tables...)
				if err != nil || sum != 2*index || sum < last {
					t.Errorf("the rows say %d, the index %d (%v), and before it was %d", sum, index, err, last)
					return
				}
				last = sum
			}
		})
	}
	wait.Wait()
}

func TestASchemaThatCannotWorkIsRefused(t *testing.T) {
	for _, c := range []struct {
		tables []*memdb.TableSchema
		want   string
	}{
		{[]*memdb.TableSchema{table("one"), table("one")}, `two tables are named "one"`},
		{[]*memdb.TableSchema{table("index")}, `two tables are named "index"`},
		{[]*memdb.TableSchema{{Name: "bare"}}, "store: "},
	} {
		if _, err := store.New(c.tables...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestWhoWaitsIsCountedWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		ws := store.WatchSet{}
		changed := make(chan struct{})
		ws.Add(changed)
		ws.Add(make(chan struct{}))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		for _, c := range []context.Context{ctx, t.Context()} {
			go func() { ended <- s.Wait(c, ws) }()
		}
		for _, step := range []struct {
			do   func()
			left int
			err  error
		}{{cancel, 2, context.Canceled}, {func() { close(changed) }, 0, nil}} {
			synctest.Wait()
			if got := s.Watched(); got != step.left+2 {
				t.Errorf("%d channels are watched, want %d", got, step.left+2)
			}
			step.do()
			if err := <-ended; !errors.Is(err, step.err) {
				t.Errorf("waiting ended with %v, want %v", err, step.err)
			}
			if got := s.Watched(); got != step.left {
				t.Errorf("%d channels are watched afterwards, want %d", got, step.left)
			}
		}
	})
}

func ExampleStore() {
	s, err := store.New(table("left"))
	if err != nil {
		panic(err)
	}
	changed, _, err := s.Read().First("left", "id", "a")
	if err != nil {
		panic(err)
	}
	watched := store.WatchSet{}
	watched.Add(changed)

	tx := s.Write()
	if err := errors.Join(tx.Insert("left", &row{"a", "red", 7}), tx.SetIndex("left", 7)); err != nil {
		panic(err)
	}
	tx.Commit()

	timedOut := watched.Watch(nil)
	index, err := s.Read().Index("left")
	fmt.Println(timedOut, index, err)
	// Output: false 7 <nil>
}
