package trace

import (
	"encoding/json"
	"fmt"
)

// JSONLegend explains the lines that JSON makes.
const JSONLegend = `Each line is one event, a JSON object; what does not apply is left out:
  at     nanoseconds of true virtual time since the world began
  node   where it happened; left out: the world itself
  kind   as in the text form
  peer   the other node, the file, or the agent that was asked
  size   bytes
  sum    a checksum of the payload, in hexadecimal
  after  nanoseconds that a packet was on its way
  text   the rest, as in the text form
`

// line is an event in the JSON form. A checksum is text, since readers of JSON
// keep 53 bits of a number.
type line struct {
	At    int64  `json:"at"`
	Node  string `json:"node,omitempty"`
	Kind  string `json:"kind"`
	Peer  string `json:"peer,omitempty"`
	Size  int64  `json:"size,omitempty"`
	Sum   string `json:"sum,omitempty"`
	After int64  `json:"after,omitempty"`
	Text  string `json:"text,omitempty"`
}

// JSON returns an event as a JSON object on one line, without the line break.
// JSONLegend explains it.
func JSON(e Event) ([]byte, error) {
	l := line{At: int64(e.At), Node: e.Node, Kind: e.Kind.String(), Peer: e.Peer, Size: e.Size, After: int64(e.After), Text: e.Text}
	if e.Sum != 0 {
		l.Sum = fmt.Sprintf("%x", e.Sum)
	}
	return json.Marshal(l)
}
