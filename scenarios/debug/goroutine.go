package debug

import (
	"bufio"
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// goroutine is one of a dump.
type goroutine struct {
	node   string // "-" is the world
	state  string // what it waits for
	since  time.Duration
	frames []frame // innermost first; the last one says who started it
}

type frame struct {
	function string // with its package, without the folder of that
	file     string // with its folder and the line
	library  bool   // of the standard library
}

// parseDump takes a dump apart that runtime.Stack made in a run. It leaves out what is
// not of the simulated world, and goroutines of processes that are no more.
func parseDump(dump string) []goroutine {
	// goroutine 7 [select (durable), synctest bubble 1, node s1, since 1250000]:
	header := regexp.MustCompile(`^goroutine \d+ \[([^,\]]*)(.*)\]:$`)
	tags := regexp.MustCompile(`, (synctest bubble|node|since) ([^,(]+)( \(dead\))?`)
	var all []goroutine
	var g *goroutine // nil: one that is left out
	lines := bufio.NewScanner(strings.NewReader(dump))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := header.FindStringSubmatch(line); m != nil {
			g = nil
			now := goroutine{node: "-", state: strings.TrimSuffix(m[1], " (durable)")}
			inside, dead := false, false
			for _, tag := range tags.FindAllStringSubmatch(m[2], -1) {
				switch tag[1] {
				case "synctest bubble":
					inside = true
				case "node":
					now.node, dead = tag[2], tag[3] != ""
				case "since":
					ns, _ := strconv.ParseInt(tag[2], 10, 64) // the runtime wrote it
					now.since = time.Duration(ns)
				}
			}
			if inside && !dead {
				all = append(all, now)
				g = &all[len(all)-1]
			}
			continue
		}
		if g == nil || line == "" {
			continue
		}
		if at, ok := strings.CutPrefix(line, "\t"); ok {
			if n := len(g.frames); n > 0 {
				at, _, _ = strings.Cut(at, " +0x")
				g.frames[n-1].file = path.Join(path.Base(path.Dir(at)), path.Base(at))
			}
			continue
		}
		g.frames = append(g.frames, parseFrame(line))
	}
	return all
}

// parseFrame reads a line such as "created by net/http.(*Server).Serve in goroutine 9".
func parseFrame(line string) frame {
	name, created := strings.CutPrefix(line, "created by ")
	if created {
		name, _, _ = strings.Cut(name, " in goroutine ")
	} else if i := strings.LastIndex(name, "("); i > 0 {
		name = name[:i] // its arguments are addresses
	}
	root, _, _ := strings.Cut(name, "/")
	f := frame{function: path.Base(name), library: !strings.Contains(root, ".") || !strings.Contains(name, "/")}
	if strings.HasPrefix(name, "tribune/") {
		f.library = false
	}
	if created {
		f.function = "started by " + f.function
	}
	return f
}

// group is goroutines that do the same.
type group struct {
	goroutine
	since []time.Duration // of each
}

// grouped puts those together that have the same node, state and stack, by node,
// state and stack.
func grouped(all []goroutine) []group {
	index := map[string]int{}
	var groups []group
	for _, g := range all {
		key := g.node + "\n" + g.state + "\n" + g.stack()
		i, known := index[key]
		if !known {
			i = len(groups)
			index[key] = i
			groups = append(groups, group{goroutine: g})
		}
		groups[i].since = append(groups[i].since, g.since)
	}
	slices.SortStableFunc(groups, func(a, b group) int {
		return cmp.Or(strings.Compare(a.node, b.node), strings.Compare(a.state, b.state), strings.Compare(a.stack(), b.stack()))
	})
	return groups
}

// stack is the stack as text.
func (g goroutine) stack() string {
	var b strings.Builder
	for _, f := range g.frames {
		b.WriteString("    " + f.function + "  " + f.file + "\n")
	}
	return b.String()
}

// top is the innermost function that is not the standard library's; and where that is
// of a simulated socket or disk, who uses it.
func (g goroutine) top() string {
	var tops []string
	for _, f := range g.frames {
		if f.library {
			continue
		}
		tops = append(tops, f.function+"  "+f.file)
		if !strings.HasPrefix(f.function, "simnet.") && !strings.HasPrefix(f.function, "simdisk.") {
			break
		}
	}
	switch {
	case len(tops) > 1:
		return tops[0] + "  for " + tops[len(tops)-1]
	case len(tops) == 1:
		return tops[0]
	case len(g.frames) > 0:
		return g.frames[0].function + "  " + g.frames[0].file
	}
	return ""
}
