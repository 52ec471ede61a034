package server

import "time"

// A leader whose disk takes nothing any more goes on to send heartbeats, for
// raft writes its log in one goroutine and sends them in others. Its followers
// would follow it for ever and no write would come to an end (hashicorp/raft
// #503, #614), nor would it notice that its lease has run out.
//
// So a leader that has had an entry to write for stallTimeout, and has written
// none in that time, falls silent: it answers no more as the leader, and its
// followers, which hear nothing from raft, choose another. When its disk goes on
// it finds that it leads no longer, and speaks again.
const stallTimeout = 10 * time.Second

// watchStall watches over an entry that is about to be written. The caller calls done when
// it has been dealt with.
func (s *Server) watchStall() (done func() bool) {
	reign := s.tenure.current()
	before := s.raft.Status().Last
	return time.AfterFunc(stallTimeout, func() {
		if s.raft.Status().Last > before {
			return // others are slow
		}
		if _, servers, err := s.inGroup(); err != nil || servers < 2 {
			return // there is nobody who could do better
		}
		s.tenure.forfeit(reign, func() {
			s.log.Error("the disk has taken no log entry for too long; this server falls silent, so that another can lead", "for", stallTimeout)
			s.port.MuteRaft(true)
		})
	}).Stop
}

// watched writes an entry that no client asked for.
func (s *Server) watched(write func() error) error {
	done := s.watchStall()
	defer done()
	return write()
}
