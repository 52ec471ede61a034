// Package pack turns plain Go structs into msgpack and back, in memory. It keeps the
// coders of the library, which are larger than most of what they are used for.
package pack

import (
	"sync"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// Codec encodes and decodes with the settings of one handle. Any number of goroutines
// may use it.
type Codec struct{ encoders, decoders sync.Pool }

// usual is room for most messages, in bytes.
const usual = 128

// New returns a codec. The handle must not be changed afterwards.
func New(h *codec.MsgpackHandle) *Codec {
	c := &Codec{}
	c.encoders.New = func() any { return codec.NewEncoderBytes(nil, h) }
	c.decoders.New = func() any { return codec.NewDecoderBytes(nil, h) }
	return c
}

// Encode returns the msgpack form of a value. What cannot be encoded is an error.
func (c *Codec) Encode(v any) ([]byte, error) {
	b := make([]byte, 0, usual)
	e := c.encoders.Get().(*codec.Encoder)
	e.ResetBytes(&b)
	err := e.Encode(v)
	e.ResetBytes(new([]byte{})) // it would keep the message
	c.encoders.Put(e)
	return b, err
}

// Decode reads a value, a pointer, from its msgpack form. It keeps nothing of b. What is
// no such form is an error; v may have been changed by then.
func (c *Codec) Decode(b []byte, v any) error {
	if b == nil {
		b = []byte{} // for the library none is no message at all
	}
	d := c.decoders.Get().(*codec.Decoder)
	d.ResetBytes(b)
	err := d.Decode(v)
	d.ResetBytes([]byte{}) // it would keep the message
	c.decoders.Put(d)
	return err
}
