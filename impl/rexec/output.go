package rexec

import (
	"context"
	"time"
)

// What a command prints is written in pieces of about pieceSize bytes, or when it has
// waited for pieceWait, as in Consul.
const (
	pieceSize     = 4 << 10
	pieceWait     = 500 * time.Millisecond
	piecesWaiting = 16 // of what the command has printed and nobody has taken yet
	defaultWait   = 2 * time.Second
)

// output takes what a command prints, and has the command wait while too much of it
// waits.
type output struct {
	ctx    context.Context // of the command
	pieces chan []byte
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	select {
	case o.pieces <- append([]byte(nil), b...):
		return len(b), nil
	case <-o.ctx.Done():
		return 0, context.Cause(o.ctx)
	}
}

// carry writes what is printed until the command has ended, and an empty piece
// whenever nothing was for the time given. It ends with the first error of write.
func (o *output) carry(wait time.Duration, write func(n int, piece []byte) error) error {
	if wait <= 0 {
		wait = defaultWait
	}
	var piece []byte
	due := time.NewTimer(wait)
	defer due.Stop()
	for n, open := 0, true; open; {
		var more []byte
		late := false
		select {
		case more, open = <-o.pieces:
			if piece == nil {
				due.Reset(pieceWait)
			}
			piece = append(piece, more...)
		case <-due.C:
			late = true
		}
		if ready := late || len(piece) >= pieceSize || !open && len(piece) > 0; !ready {
			continue
		}
		if err := write(n, piece); err != nil {
			return err
		}
		n++
		piece = nil
		due.Reset(wait)
	}
	return nil
}
