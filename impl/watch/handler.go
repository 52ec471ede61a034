package watch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	plans "github.com/hashicorp/consul/api/watch"

	"tribune/impl/host"
)

// Watch is something to watch and what to do when it changes.
type Watch struct {
	*Query
	id   string   // of all that it was made of
	args []string // a command; nil: http
	http *plans.HttpHandlerConfig
}

// Parse reads a watch as it stands in an agent's configuration: what ParseQuery
// takes, and a handler. That is "args", a command with its arguments, or "handler", a
// line for the shell; or, with "handler_type" "http", "http_handler_config" with
// path, method (default: POST), header, timeout (default: 10s) and tls_skip_verify.
func Parse(settings map[string]any) (*Watch, error) {
	b, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	var params map[string]any // a copy of its own
	if err := json.Unmarshal(b, &params); err != nil {
		return nil, err
	}
	for key, v := range params {
		params[key] = unblocked(v)
	}
	query := maps.Clone(params)
	for _, key := range []string{"args", "handler", "handler_type", "http_handler_config"} {
		delete(query, key)
	}
	sum := sha256.Sum256(b)
	w := &Watch{id: hex.EncodeToString(sum[:])}
	if w.Query, err = ParseQuery(query); err != nil {
		return nil, err
	}
	plan, err := plans.ParseExempt(params, []string{"args", "handler"})
	if err != nil {
		return nil, err
	}
	if err := w.handler(plan); err != nil {
		return nil, err
	}
	return w, nil
}

// unblocked turns what HCL makes of a block, a list of one object, into the object.
func unblocked(v any) any {
	if list, ok := v.([]any); ok && len(list) == 1 {
		if object, ok := list[0].(map[string]any); ok {
			v = object
		}
	}
	if object, ok := v.(map[string]any); ok {
		for key, inner := range object {
			object[key] = unblocked(inner)
		}
	}
	return v
}

// handler takes the handler from a plan that was parsed with one.
func (w *Watch) handler(plan *plans.Plan) error {
	args, isCommand := plan.Exempt["args"]
	line, isLine := plan.Exempt["handler"]
	config, isHTTP := plan.Exempt["http_handler_config"].(*plans.HttpHandlerConfig)
	switch {
	case !slices.Contains([]string{"", "script", "http"}, plan.HandlerType):
		return fmt.Errorf("handler type '%s' not recognized", plan.HandlerType)
	case isHTTP && (isCommand || isLine), isCommand && isLine:
		return errors.New("only one watch handler allowed")
	case isHTTP:
		w.http = config
	case isCommand:
		list, ok := args.([]any)
		for _, a := range list {
			text, isText := a.(string)
			ok = ok && isText
			w.args = append(w.args, text)
		}
		if !ok || len(w.args) == 0 {
			return errors.New("watch args must be a list of strings")
		}
	case isLine:
		text, ok := line.(string)
		if !ok || text == "" {
			return errors.New("watch handler must be a string")
		}
		w.args = []string{"/bin/sh", "-c", text}
	default:
		return errors.New("a watch must define a handler")
	}
	return nil
}

// handlerGrace is how long a command has to end when its watch stops: it may be in the
// middle of writing a file.
const handlerGrace = 5 * time.Second

// Handle runs the watch's handler for a change, a command as in says, whose program,
// input, environment and grace are set here. What an HTTP handler answers goes to its
// Stdout. The error says that the handler could not be run, or that it failed.
func (w *Watch) Handle(ctx context.Context, h host.Host, c Change, in host.Command) error {
	if w.http != nil {
		return w.request(ctx, h.Network(), c, in.Stdout)
	}
	in.Args, in.Stdin, in.Grace = w.args, bytes.NewReader(c.Data), handlerGrace
	in.Env = []string{"CONSUL_INDEX=" + strconv.FormatUint(c.Index, 10), "CONSUL_PREVIOUS_INDEX=" + strconv.FormatUint(c.Previous, 10)}
	status, err := h.Exec().Run(ctx, in)
	if err == nil && status != 0 {
		err = fmt.Errorf("exit status %d", status)
	}
	return err
}

// maxAnswer is the most bytes of an HTTP handler's answer that are read.
const maxAnswer = 4096

func (w *Watch) request(ctx context.Context, n host.Network, c Change, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, w.http.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, w.http.Method, w.http.Path, bytes.NewReader(c.Data))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Consul-Index", strconv.FormatUint(c.Index, 10))
	r.Header.Set("X-Consul-Previous-Index", strconv.FormatUint(c.Previous, 10))
	for key, values := range w.http.Header {
		for _, v := range values {
			r.Header.Add(key, v)
		}
	}
	client := http.Client{Transport: &http.Transport{
		Proxy:       func(r *http.Request) (*url.URL, error) { return n.Proxy(r.URL) },
		DialContext: n.Dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: w.http.TLSSkipVerify},
	}}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(answer.Body, maxAnswer))
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("the answer has status %d", answer.StatusCode)
	}
	return nil
}
