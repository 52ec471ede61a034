package trace

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// The compact form of a trace is the line magic, then each event as: the time
// since the event before it (varint, nanoseconds), the kind (one byte), size
// (varint), sum (uvarint), how long it was on its way (varint, nanoseconds), and
// node, peer and text as strings. A string is the
// number of an earlier one plus one (uvarint), or zero, its length and its
// bytes, which makes it the next number; after maxStrings no more are numbered.
const (
	magic      = "tribune trace 2\n"
	maxStrings = 1 << 16
	maxText    = 1 << 20 // of a longer string the beginning is recorded
)

// Recording is a Recorder that folds all events into a fingerprint, keeps the latest
// in memory, and may write all of them out.
type Recording struct {
	out     *bufio.Writer
	sum     hash.Hash
	keep    int
	recent  []Event // a ring once full
	count   uint64
	last    time.Duration
	strings map[string]uint64
	buffer  []byte
	err     error
}

// NewRecording returns a log that keeps the given number of events in memory and, if
// out is not nil, writes all of them there in the compact form.
func NewRecording(out io.Writer, keep int) *Recording {
	l := &Recording{sum: sha256.New(), keep: keep, strings: map[string]uint64{}}
	if out != nil {
		l.out = bufio.NewWriterSize(out, 1<<16)
		_, l.err = l.out.WriteString(magic)
	}
	return l
}

// Record implements Recorder. It is called by one goroutine at a time.
func (l *Recording) Record(e Event) {
	start := len(l.buffer)
	b := binary.AppendVarint(l.buffer, int64(e.At-l.last))
	l.last = e.At
	b = append(b, byte(e.Kind))
	b = binary.AppendVarint(b, e.Size)
	b = binary.AppendUvarint(b, e.Sum)
	b = binary.AppendVarint(b, int64(e.After))
	b = l.text(b, e.Node)
	b = l.text(b, e.Peer)
	b = l.text(b, e.Text)
	if l.out != nil && l.err == nil {
		_, l.err = l.out.Write(b[start:])
	}
	l.buffer = b
	if len(b) > 1<<14 {
		l.fold()
	}
	l.count++
	if l.keep == 0 {
		return
	}
	if len(l.recent) < l.keep {
		l.recent = append(l.recent, e)
	} else {
		l.recent[(l.count-1)%uint64(l.keep)] = e
	}
}

func (l *Recording) text(b []byte, s string) []byte {
	s = s[:min(len(s), maxText)]
	if n, ok := l.strings[s]; ok {
		return binary.AppendUvarint(b, n+1)
	}
	if len(l.strings) < maxStrings {
		l.strings[s] = uint64(len(l.strings))
	}
	b = append(b, 0)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func (l *Recording) fold() {
	_, _ = l.sum.Write(l.buffer) // never fails
	l.buffer = l.buffer[:0]
}

// Fingerprint is the SHA-256 of all events so far, in hexadecimal.
func (l *Recording) Fingerprint() string {
	l.fold()
	return hex.EncodeToString(l.sum.Sum(nil))
}

// Count is the number of events so far.
func (l *Recording) Count() uint64 { return l.count }

// Recent returns the events that are kept, oldest first.
func (l *Recording) Recent() []Event {
	if len(l.recent) < l.keep || l.keep == 0 {
		return append([]Event(nil), l.recent...)
	}
	at := l.count % uint64(l.keep)
	return append(append([]Event(nil), l.recent[at:]...), l.recent[:at]...)
}

// Flush hands all that was written on and returns the first error of writing.
func (l *Recording) Flush() error {
	if l.out != nil && l.err == nil {
		l.err = l.out.Flush()
	}
	return l.err
}

// Reader reads a trace in the compact form.
type Reader struct {
	in      *bufio.Reader
	last    time.Duration
	strings []string
	count   uint64
	begun   bool
}

// ErrFormat says that what was read is no trace, or a damaged one.
var ErrFormat = errors.New("not a trace, or a damaged one")

// NewReader returns a reader of the trace that r holds.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 1<<16)} }

// Next returns the next event; io.EOF at the end, and only there. A trace that
// is damaged, or ends within an event, gives an error that wraps ErrFormat.
func (r *Reader) Next() (Event, error) {
	if !r.begun {
		head := make([]byte, len(magic))
		if _, err := io.ReadFull(r.in, head); err != nil || string(head) != magic {
			return Event{}, fmt.Errorf("%w: its first line is not %q", ErrFormat, magic)
		}
		r.begun = true
	}
	if _, err := r.in.Peek(1); err != nil {
		return Event{}, err
	}
	e, err := r.event()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Event{}, fmt.Errorf("%w: event %d: %w", ErrFormat, r.count, err)
	}
	r.count++
	return e, nil
}

func (r *Reader) event() (e Event, err error) {
	after, err := binary.ReadVarint(r.in)
	if err != nil {
		return e, err
	}
	r.last += time.Duration(after)
	e.At = r.last
	kind, err := r.in.ReadByte()
	if err != nil {
		return e, err
	}
	if e.Kind = Kind(kind); e.Kind == KindNone || e.Kind >= kinds {
		return e, fmt.Errorf("unknown kind %d", kind)
	}
	if e.Size, err = binary.ReadVarint(r.in); err != nil {
		return e, err
	}
	if e.Sum, err = binary.ReadUvarint(r.in); err != nil {
		return e, err
	}
	took, err := binary.ReadVarint(r.in)
	if err != nil {
		return e, err
	}
	e.After = time.Duration(took)
	for _, s := range []*string{&e.Node, &e.Peer, &e.Text} {
		if *s, err = r.text(); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (r *Reader) text() (string, error) {
	n, err := binary.ReadUvarint(r.in)
	if err != nil {
		return "", err
	}
	if n > 0 {
		if n > uint64(len(r.strings)) {
			return "", fmt.Errorf("string %d was not defined", n)
		}
		return r.strings[n-1], nil
	}
	if n, err = binary.ReadUvarint(r.in); err != nil {
		return "", err
	}
	if n > maxText {
		return "", fmt.Errorf("a string of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.in, b); err != nil {
		return "", err
	}
	if len(r.strings) < maxStrings {
		r.strings = append(r.strings, string(b))
	}
	return string(b), nil
}

// Diff compares two traces and returns the first event in which they differ,
// counted from zero; a nil event is the end of that trace. Equal traces give
// two nil events.
func Diff(a, b *Reader) (index uint64, ea, eb *Event, err error) {
	next := func(r *Reader) (*Event, error) {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return &e, err
	}
	for ; ; index++ {
		if ea, err = next(a); err != nil {
			return index, nil, nil, err
		}
		if eb, err = next(b); err != nil {
			return index, nil, nil, err
		}
		if ea == nil || eb == nil || *ea != *eb {
			return index, ea, eb, nil
		}
	}
}

// Difference says in words which event is the first in which two traces differ; "" if they
// are equal.
func Difference(was, is io.Reader) (string, error) {
	index, a, b, err := Diff(NewReader(was), NewReader(is))
	if err != nil || a == nil && b == nil {
		return "", err
	}
	text := func(e *Event) string {
		if e == nil {
			return "the end"
		}
		return Format(*e)
	}
	return fmt.Sprintf("the first event that differs is number %d:\n  was %s\n  is  %s", index, text(a), text(b)), nil
}
