package pack

import (
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

type message struct {
	Text  string
	Bytes []byte
	Table map[string]int
}

func TestAFailureIsForgotten(t *testing.T) {
	c := New(&codec.MsgpackHandle{WriteExt: true})
	want := message{"a", []byte{1}, map[string]int{"b": 2}}
	good, err := c.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, bad := range [][]byte{nil, {}, good[:len(good)-1], {0xc1}, []byte(strings.Repeat("\x91", 5000))} {
			if err := c.Decode(bad, new(message)); err == nil {
				t.Errorf("%.20q was understood", bad)
			}
		}
		if _, err := c.Encode(complex(1, 2)); err == nil {
			t.Error("a complex number was encoded")
		}
		var got message
		if err := c.Decode(good, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v came back as %+v: %v", want, got, err)
		}
		if again, err := c.Encode(want); err != nil || string(again) != string(good) {
			t.Errorf("%q the second time, %q the first: %v", again, good, err)
		}
	}
}

func TestManyMayUseOneAndWhatTheyGotIsTheirs(t *testing.T) {
	c := New(&codec.MsgpackHandle{WriteExt: true})
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			want := message{Text: strings.Repeat("x", i*100), Bytes: []byte(strings.Repeat("y", i))}
			b, err := c.Encode(want)
			if err != nil {
				t.Error(err)
			}
			for range 100 {
				var got message
				if err := c.Decode(b, &got); err != nil || got.Text != want.Text || string(got.Bytes) != string(want.Bytes) {
					t.Errorf("%+v came back as %+v: %v", want, got, err)
				}
				text := append([]byte{}, b...)
				var mine message
				if err := c.Decode(text, &mine); err != nil {
					t.Error(err)
				}
				clear(text)
				if mine.Text != want.Text || string(mine.Bytes) != string(want.Bytes) {
					t.Errorf("what was decoded changed with what it was decoded from: %+v", mine)
				}
			}
		})
	}
	wait.Wait()
}
