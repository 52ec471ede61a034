package page

// Version is that of the form of Data. It changes when the meaning of a field does.
const Version = 1

// Data is what the page is given, as one block of JSON (the element with the
// identifier "data"); docs/report.md explains it to those who want to read it with a
// program. All times are nanoseconds of virtual time since the world began, unless
// it says otherwise; a node is given by its place in Nodes, a text by its place in
// Texts, an operation by its place in Ops.
type Data struct {
	Version     int       `json:"version"`
	Run         Facts     `json:"run"`
	Verdicts    []Verdict `json:"verdicts"`
	Nodes       []Node    `json:"nodes"`
	Faults      []Fault   `json:"faults"`
	Lives       []Life    `json:"lives"`
	Reigns      []Reign   `json:"reigns"`
	Clocks      []Clock   `json:"clocks"`
	Ops         Table     `json:"ops"`
	Events      Table     `json:"events"`
	Messages    Table     `json:"messages"`
	Sample      Sample    `json:"sample"`
	Texts       []string  `json:"texts"`
	Settings    string    `json:"settings"` // the scenario as YAML, with all that was drawn
	Plan        string    `json:"plan"`     // the same in words, with the faults that were planned
	Replay      []Command `json:"replay"`
	Picture     string    `json:"picture,omitempty"`      // porcupine's, an HTML page
	PictureFile string    `json:"picture_file,omitempty"` // where it is, if there is no room for it here
	Died        *Death    `json:"died,omitempty"`         // why there is no result, if there is none
}

// Death says why a run came to no result.
type Death struct {
	Cause  string `json:"cause"`  // a line
	End    string `json:"end"`    // how the process ended
	Output string `json:"output"` // what it said: the beginning and the end of it
}

// Facts are numbers about a run.
type Facts struct {
	Scenario    string `json:"scenario"`
	About       string `json:"about"`
	Seed        uint64 `json:"seed,string"` // it may need more than the 53 bits of a number in JSON
	OK          bool   `json:"ok"`
	Fingerprint string `json:"fingerprint"`
	Virtual     int64  `json:"virtual"` // how long the run was
	Healed      int64  `json:"healed"`  // when the second phase began
	Took        int64  `json:"took"`    // real time
	Happened    uint64 `json:"happened"`
	Memory      uint64 `json:"memory"` // bytes
	Done        int    `json:"done"`
	Refused     int    `json:"refused"`
	Unknown     int    `json:"unknown"`
}

// Verdict is the answer to one check, in words.
type Verdict struct {
	Check    string    `json:"check"`
	Means    string    `json:"means"` // what the check asks
	Expected string    `json:"expected"`
	Got      string    `json:"got"`
	OK       bool      `json:"ok"`
	Text     string    `json:"text"`
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is something that is wrong: a sentence and what it is about.
type Finding struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
	At   int64  `json:"at"`
	Ops  []int  `json:"ops,omitempty"` // first the one that shows that something is wrong
}

// Node is a lane of the picture.
type Node struct {
	Name string `json:"name"`
	Role string `json:"role"` // server, agent, client or other
}

// Fault is a strike that happened.
type Fault struct {
	From  int64  `json:"from"`
	Until int64  `json:"until"`
	Kind  string `json:"kind"`
	Text  string `json:"text"`
	Nodes []int  `json:"nodes"`
}

// Life is a stretch of time in which a node was in one state: up, paused or down.
type Life struct {
	Node  int    `json:"node"`
	From  int64  `json:"from"`
	Until int64  `json:"until"`
	State string `json:"state"`
	Why   string `json:"why"` // how it came to it
}

// Reign is a stretch of time in which a node was seen having a role.
type Reign struct {
	Node  int    `json:"node"`
	From  int64  `json:"from"`
	Until int64  `json:"until"`
	Term  uint64 `json:"term"` // 0 where there are no terms
	Role  string `json:"role"`
}

// Clock says how far a node's clock was off from a time on, and how fast it went;
// the next Clock of the node ends it.
type Clock struct {
	Node   int     `json:"node"`
	At     int64   `json:"at"`
	Offset int64   `json:"offset"`
	Rate   float64 `json:"rate"` // in units of true time
}

// Table has rows of numbers; Columns says what each means. So a long run stays
// small: a row is a tenth of the size of an object with names.
type Table struct {
	Columns []string  `json:"columns"`
	Rows    [][]int64 `json:"rows"`
}

// Sample says of which stretches of time the page has messages and log lines.
type Sample struct {
	AllMessages bool     `json:"all_messages"`
	AllEvents   bool     `json:"all_events"`
	Ops         int      `json:"ops"` // how many there were
	Messages    int      `json:"messages"`
	Events      int      `json:"events"`
	Windows     []Window `json:"windows"` // of messages, in the order of their time
}

// Window is a stretch of time, and why it was chosen.
type Window struct {
	From  int64  `json:"from"`
	Until int64  `json:"until"`
	Why   string `json:"why"`
}

// Command is a line for a shell.
type Command struct {
	Line  string `json:"line"`
	About string `json:"about"`
}

// The columns of the tables. A column named after a text or a node has its place in
// Texts or Nodes, and -1 for none.
func opColumns() []string {
	return []string{"node", "kind", "key", "outcome", "call", "took", "server", "what", "answer", "error"}
}

// The level of an event is 0 for what is of interest to few, 1, 2 for a warning, 3
// for an error.
func eventColumns() []string { return []string{"at", "node", "kind", "level", "text"} }

// A message that was dropped has a fate, the reason; one that arrived has -1.
func messageColumns() []string {
	return []string{"sent", "took", "from", "to", "bytes", "protocol", "fate"}
}
