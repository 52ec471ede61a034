package scenarios

import (
	"fmt"
	"slices"
)

// Role says what a node is: "server", "agent" (a client agent), "client" (one whose
// operations are judged) or "other" (a watcher, a registrar, the operator, ...).
func (p Plan) Role(node string) string {
	switch {
	case slices.Contains(p.names(), node):
		return "server"
	case slices.Contains(p.agents(), node):
		return "agent"
	}
	var n int
	for _, form := range []string{"c%d", "h%d", "t%d"} {
		if _, err := fmt.Sscanf(node, form, &n); err == nil && node == fmt.Sprintf(form, n) {
			return "client"
		}
	}
	if node == "probe" || node == "reader" {
		return "client"
	}
	return "other"
}

// ClientName is the name of the node of the client whose operations have a number
// in the histories.
func (p Plan) ClientName(number int) string {
	clients, contenders := p.Scenario.Topology.Clients, p.Scenario.Workload.Contenders
	switch after := number - clients; {
	case number >= firstTeller:
		return fmt.Sprintf("t%d", number-firstTeller+1)
	case after <= 0:
		return fmt.Sprintf("c%d", number)
	case after == 1:
		return "probe"
	case after == 2:
		return "reader"
	case after == contenders+3:
		return "operator"
	default:
		return fmt.Sprintf("h%d", after-2)
	}
}
