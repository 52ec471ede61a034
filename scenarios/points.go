package scenarios

import (
	"slices"

	"tribune/sim/nemesis"
	"tribune/sim/trace"
)

// Points lists the points at which a fault may strike, sorted by name.
func Points() []nemesis.Point { return Scenario{}.Cast().AllPoints() }

// agentPoints are those that only an agent passes. They are found in what raft,
// serf and the agent log, and in the names of the files that they write; a test
// sees that each is passed.
func agentPoints() []nemesis.Point {
	return slices.Concat(electionPoints(), logPoints(), snapshotPoints(), memberPoints())
}

func line(name, about, text string) nemesis.Point {
	return nemesis.Point{Name: name, About: about, Event: nemesis.EventMatch{Kind: trace.Log, Text: text}}
}

func debugLine(name, about, text string) nemesis.Point {
	p := line(name, about, text)
	p.Event.Debug = true
	return p
}

func before(name, about, op, file string) nemesis.Point {
	return nemesis.Point{Name: name, About: about, Disk: nemesis.DiskMatch{Op: op, File: file}}
}

func after(name, about, op, file string) nemesis.Point {
	p := before(name, about, op, file)
	p.Disk.After = true
	return p
}

// The group that finds the other side in a line of raft or serf.
const (
	byID     = `(?P<peer>[0-9a-f-]{36})`
	byName   = `(?P<peer>\S+)`
	byVoter  = `\{Voter \S+ (?P<peer>[0-9.:]+)\}`
	byOrigin = `from=(?P<peer>[0-9.:]+)`
)

func electionPoints() []nemesis.Point {
	const term, vote = `"CurrentTerm": "([^"]*)"`, `"LastVoteCand": "([^"]*)"`
	changed := func(p nemesis.Point, what, in string) nemesis.Point {
		p.Disk.Changed, p.Disk.In = what, in
		return p
	}
	return []nemesis.Point{
		line("heartbeat-timeout", "has not heard from a leader for too long", `^WARN heartbeat timeout reached, starting election`),
		line("pre-vote-won", "would be elected, and begins an election", `^INFO pre-vote successful`),
		line("pre-vote-refused", "refuses to help to begin an election, since there is a leader", `^WARN rejecting pre-vote request since we have a leader .*`+byOrigin),
		line("candidate", "becomes a candidate", `^INFO entering candidate state`),
		debugLine("vote-received", "gets a vote", `^DEBUG vote granted .*from=`+byID),
		line("elected", "begins to lead", `^INFO entering leader state`),
		line("leader-ready", "leads, has applied all entries and takes up a leader's duties", `^INFO cluster leadership acquired`),
		line("quorum-lost", "leads, reaches no majority any more and steps down", `^WARN failed to contact quorum of nodes, stepping down`),
		line("deposed", "does not lead any more", `^INFO cluster leadership lost`),
		line("follower", "becomes a follower", `^INFO entering follower state`),
		debugLine("leadership-transfer", "begins to hand leadership over", `^DEBUG starting leadership transfer`),
		line("bootstrapped", "makes the first raft group", `^INFO made the first raft group`),
		changed(before("term-write", "is about to write a new term", "write", "meta.json.tmp"), term, ""),
		changed(after("term-persisted", "has made a new term durable", "syncdir", "wal"), term, "meta.json"),
		changed(before("vote-write", "is about to write another vote than before", "write", "meta.json.tmp"), vote, ""),
		changed(after("vote-written", "has written another vote than before to a temporary file, and not synced it", "write", "meta.json.tmp"), vote, ""),
		changed(after("vote-renamed", "has renamed the file with another vote than before, and not synced the directory", "rename", "meta.json"), vote, ""),
		changed(after("vote-persisted", "has made another vote than before durable, and not answered", "syncdir", "wal"), vote, "meta.json"),
	}
}

func logPoints() []nemesis.Point {
	return []nemesis.Point{
		before("log-write", "is about to write entries to the raft log", "write", "*.wal"),
		after("log-written", "has written entries to the raft log, and not synced them", "write", "*.wal"),
		before("log-sync", "is about to sync the raft log", "sync", "*.wal"),
		after("log-synced", "has synced the raft log, and told nobody", "sync", "*.wal"),
		after("segment-created", "has created a segment of the raft log", "create", "*.wal"),
		before("segment-remove", "is about to remove a segment of the raft log", "remove", "*.wal"),
		line("log-conflict", "leads, and finds that the log of another does not continue its own", `^WARN appendEntries rejected, sending older logs .*`+byVoter),
		line("log-truncated", "cuts entries off the end of its log that the leader does not have", `^WARN clearing log suffix`),
		line("log-compacting", "drops entries of its log that a snapshot holds", `^INFO compacting logs`),
		line("log-replaced", "drops its whole log, since a snapshot replaces it", `^INFO removing all old logs from log store`),
	}
}

func snapshotPoints() []nemesis.Point {
	return []nemesis.Point{
		line("snapshot-begins", "begins to take a snapshot", `^INFO starting snapshot up to`),
		before("snapshot-write", "is about to write to a snapshot, its own or a leader's", "write", "*.writing"),
		after("snapshot-written", "has written and synced a snapshot, its own or a leader's, and not renamed it", "sync", "*.writing"),
		after("snapshot-renamed", "has given a snapshot its name, and not synced the directory", "rename", "*.snap"),
		line("snapshot-taken", "has taken a snapshot", `^INFO snapshot complete up to`),
		before("snapshot-remove", "is about to remove an old snapshot", "remove", "*.snap"),
		line("snapshot-sent", "leads, and begins to send a snapshot", `^INFO installing snapshot on .*peer=`+byID),
		line("snapshot-received", "has received a snapshot of the leader, and not restored it", `^INFO copied to local snapshot`),
		line("snapshot-installed", "has restored a snapshot of the leader", `^INFO Installed remote snapshot`),
		line("restored", "has started from a snapshot of its own", `^INFO restored from snapshot`),
	}
}

func memberPoints() []nemesis.Point {
	return []nemesis.Point{
		line("member-joined", "hears that a member has joined", `^INFO serf: EventMemberJoin: `+byName),
		line("member-suspected", "gets no answer from a member, and suspects it to be dead", `^INFO memberlist: Suspect `+byName+` has failed`),
		line("member-failed", "takes a member for dead", `^INFO serf: EventMemberFailed: `+byName),
		line("member-left", "hears that a member has left", `^INFO serf: EventMemberLeave: `+byName),
		line("suspicion-refuted", "hears that it is suspected to be dead, and says that it is not", `^WARN memberlist: Refuting a suspect message \(from: (?P<peer>[^)]+)\)`),
		line("member-reconnect", "tries to reach a member that was taken for dead", `^INFO serf: attempting reconnect to `+byName),
		line("peer-added", "leads, and begins to replicate to a server", `^INFO added peer, starting replication .*peer=`+byID),
		line("joined", "has joined the cluster", `^INFO joined the cluster`),
		line("session-expires", "leads, and ends a session whose TTL is over", `^INFO a session expires`),
		line("check-changed", "finds that a check has another status", `^INFO a check changed`),
		after("peers-written", "has written the addresses of the members, and not synced the directory", "rename", "lan-peers.json"),
		before("service-write", "is about to write a service that was registered with it", "write", "/data/services/*"),
		after("service-written", "has given the file of a service its name, and not synced the directory", "rename", "/data/services/*"),
	}
}
