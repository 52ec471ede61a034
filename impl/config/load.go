package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl"

	"tribune/impl/host"
	"tribune/impl/logging"
)

// ParseLevel returns the level that a log_level names.
func ParseLevel(name string) (slog.Level, bool) {
	switch strings.ToLower(name) {
	case "trace":
		return logging.Trace, true
	case "debug":
		return slog.LevelDebug, true
	case "info":
		return slog.LevelInfo, true
	case "warn":
		return slog.LevelWarn, true
	case "err", "error":
		return slog.LevelError, true
	}
	return 0, false
}

// line is what a command line gives.
type line struct {
	files []string // with a "/" at the end: a directory
	flags []func(*Config) error
}

// Flags defines the agent's flags, for a usage text.
func Flags(fs *flag.FlagSet) { define(fs, &line{}) }

func define(fs *flag.FlagSet, l *line) {
	fs.Func("config-file", "`FILE` with settings, JSON or HCL; may be given many times", func(name string) error {
		l.files = append(l.files, name)
		return nil
	})
	fs.Func("config-dir", "`DIR` whose .json and .hcl files are read in the order of their names; may be given many times", func(dir string) error {
		l.files = append(l.files, strings.TrimRight(dir, "/")+"/")
		return nil
	})
	for _, s := range settings() {
		if s.flag != "" {
			defineSetting(fs, s, l)
		}
	}
}

// Load returns the configuration that command line arguments make, with the
// files that -config-file and -config-dir name. Errors name the flag, or the
// file and the key.
func Load(fsys host.FS, args []string) (*Config, error) {
	fs := flag.NewFlagSet("agent", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	var l line
	define(fs, &l)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	c := Default()
	for _, name := range l.files {
		files := []string{name}
		if strings.HasSuffix(name, "/") {
			var err error
			if files, err = listDir(fsys, name); err != nil {
				return nil, err
			}
		}
		for _, file := range files {
			if err := c.loadFile(fsys, file); err != nil {
				return nil, err
			}
		}
	}
	for _, apply := range l.flags {
		if err := apply(c); err != nil {
			return nil, err
		}
	}
	return c, c.Validate()
}

// defineSetting adds a setting's flag, which when given adds to the line what it
// sets: flags come after the files, wherever these stand.
func defineSetting(fs *flag.FlagSet, s setting, l *line) {
	set := func(text string) error {
		if err := assign(s.target(&Config{}), text); err != nil {
			return err
		}
		l.flags = append(l.flags, func(c *Config) error { return assign(s.target(c), text) })
		return nil
	}
	doc := s.doc
	switch v := s.target(Default()).(type) {
	case *bool:
		fs.BoolFunc(s.flag, doc, set)
		return
	case *string:
		doc = "`STRING` " + doc + defaultText(*v != "", *v)
	case *int:
		doc = "`NUMBER` " + doc + defaultText(*v != 0, *v)
	case *time.Duration:
		doc = "`TIME` " + doc + defaultText(true, *v)
	case *[]string:
		doc = "`ADDRESS` " + doc
	}
	fs.Func(s.flag, doc, set)
}

func defaultText(shown bool, v any) string {
	if !shown {
		return ""
	}
	return fmt.Sprintf(" (default %v)", v)
}

// assign sets a setting from text.
func assign(target any, text string) (err error) {
	switch t := target.(type) {
	case *string:
		*t = text
	case *bool:
		*t, err = strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
	case *int:
		*t, err = strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
	case *time.Duration:
		*t, err = time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 30s or 5m", text)
		}
	case *[]string:
		*t = append(*t, text)
	}
	return nil
}

func listDir(fsys host.FS, dir string) ([]string, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if ext := path.Ext(e.Name()); !e.IsDir() && (ext == ".json" || ext == ".hcl") {
			files = append(files, path.Join(dir, e.Name()))
		}
	}
	return files, nil
}

func (c *Config) loadFile(fsys host.FS, name string) error {
	b, err := host.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if err := c.Merge(b, path.Ext(name) == ".json"); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Merge overrides c by the settings in the text of a file, JSON or HCL.
func (c *Config) Merge(text []byte, isJSON bool) error {
	var tree map[string]any
	if isJSON {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&tree); err != nil {
			return place(text, err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: text after the end of the settings", 1+bytes.Count(text[:d.InputOffset()], []byte("\n")))
		}
	} else if err := hcl.Decode(&tree, string(text)); err != nil {
		return err // names the line
	}
	flat := map[string]any{}
	flatten(flat, "", tree)
	byKey := map[string]setting{}
	for _, s := range settings() {
		byKey[s.key] = s
	}
	byKey["node"] = byKey["node_name"]
	for _, key := range sortedKeys(flat) {
		s, ok := byKey[key]
		if !ok {
			return fmt.Errorf("unknown key %q", key)
		}
		if err := assignValue(s.target(c), flat[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func place(text []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("line %d: %w", 1+bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n")), err)
	}
	return err
}

// flatten turns nested objects into dotted keys. HCL makes a list of one
// object of each block.
func flatten(to map[string]any, prefix string, from map[string]any) {
	for key, v := range from {
		switch v := v.(type) {
		case map[string]any:
			flatten(to, prefix+key+".", v)
		case []map[string]any:
			for _, m := range v {
				flatten(to, prefix+key+".", m)
			}
		default:
			to[prefix+key] = v
		}
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func assignValue(target, v any) error {
	list, isList := v.([]any)
	if _, wantsList := target.(*[]string); isList != wantsList {
		if wantsList {
			return fmt.Errorf("%v is not a list", v)
		}
		return fmt.Errorf("%v is a list", v)
	}
	if !isList {
		list = []any{v}
	}
	for _, v := range list {
		if _, isText := v.(string); !isText {
			if _, wantsText := target.(*string); wantsText {
				return fmt.Errorf("%v is not a string", v)
			}
		}
		if err := assign(target, fmt.Sprint(v)); err != nil {
			return err
		}
	}
	return nil
}
