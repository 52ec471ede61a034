package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl"

	"tribune/impl/definition"
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
	files     []string // and directories
	fragments []string // HCL
	format    string   // of the files; empty: as their names say
	lists     []func(*Config) error
	flags     []func(*Config) error
	warnings  []string
	dev       bool
}

// Flags defines the agent's flags, for a usage text.
func Flags(fs *flag.FlagSet) { define(fs, &line{}) }

func define(fs *flag.FlagSet, l *line) {
	file := func(name string) error {
		l.files = append(l.files, name)
		return nil
	}
	fs.Func("config-file", "`FILE` with settings, JSON or HCL; may be given many times", file)
	fs.Func("config-dir", "`DIR` whose .json and .hcl files are read in the order of their names; may be given many times", file)
	fs.Func("config-format", "`FORMAT` of all files, json or hcl, whatever their names are", func(name string) error {
		if name != "json" && name != "hcl" {
			return fmt.Errorf("%q is neither json nor hcl", name)
		}
		l.format = name
		return nil
	})
	fs.Func("hcl", "`TEXT` with settings in HCL, which override all else; may be given many times", func(text string) error {
		l.fragments = append(l.fragments, text)
		return nil
	})
	fs.BoolFunc("dev", "a server to try things out: leads alone, listens on 127.0.0.1, keeps nothing", func(text string) (err error) {
		l.dev, err = strconv.ParseBool(text)
		return err
	})
	for _, s := range settings() {
		if s.flag != "" {
			defineSetting(fs, s, l)
		}
	}
}

// Load returns the configuration that command line arguments make, with the
// files that -config-file and -config-dir name. Errors name the flag, or the
// file, the line and the key.
func Load(fsys host.FS, args []string) (*Config, error) {
	fs := flag.NewFlagSet("agent", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	var l line
	define(fs, &l)
	defineForeign(fs, &l)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	c := Default()
	c.again = func() (*Config, error) { return Load(fsys, args) }
	c.now = func() (string, error) {
		sum := sha256.New()
		err := l.read(fsys, func(name string, text []byte) error {
			writeSum(sum, name, text)
			return nil
		})
		return hex.EncodeToString(sum.Sum(nil)), err
	}
	c.Warnings = l.warnings
	if err := l.apply(c, fsys); err != nil {
		return nil, err
	}
	c.complete()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.advise()
	return c, nil
}

// note remembers that a key was given.
func (c *Config) note(key string) {
	if c.given == nil {
		c.given = map[string]bool{}
	}
	c.given[key] = true
}

// complete sets the defaults that depend on other settings: a client agent that is
// stopped leaves the cluster, a server is expected back. It warns of old names.
func (c *Config) complete() {
	if !c.given["leave_on_terminate"] {
		c.Leave.OnTerminate = !c.Server
	}
	if !c.given["skip_leave_on_interrupt"] {
		c.Leave.SkipOnInterrupt = c.Server
	}
	if c.given["start_join"] {
		c.Warnings = append(c.Warnings, "start_join (-join) is deprecated and means retry_join (-retry-join), as in Consul: the agent starts also if nobody answers, and tries again")
	}
}

// Again loads the configuration anew, from the same arguments and from what the
// files hold now. A configuration that did not come from Load is itself.
func (c *Config) Again() (*Config, error) {
	if c.again == nil {
		return c, nil
	}
	return c.again()
}

// Files is a digest of what the files held from which the configuration was loaded,
// and of what they hold now.
func (c *Config) Files() (loaded, now string, err error) {
	if c.now == nil {
		return "", "", nil
	}
	now, err = c.now()
	return c.sum, now, err
}

// reloadable are the settings that an agent takes up while it runs, beside
// definitions.
var reloadable = []string{"log_level", "node_meta", "discard_check_output", "recursors", "dns_config.", "limits.http_max_conns_per_client", "limits.http_exempt_loopback", "limits.rpc_rate", "limits.rpc_max_burst",
	"raft_snapshot_threshold", "raft_snapshot_interval", "raft_trailing_logs"}

// Fixed lists the keys of the settings that are otherwise in another configuration, one
// loaded later, and that a running agent does not take up. The data directory that
// somebody made for a Dev agent is in no file.
func (c *Config) Fixed(other *Config) []string {
	var keys []string
	for _, s := range settings() {
		if s.key == "data_dir" && c.Dev && other.DataDir == "" || s.key == "start_join" { // which is retry_join
			continue
		}
		taken := slices.ContainsFunc(reloadable, func(r string) bool { return s.key == r || strings.HasSuffix(r, ".") && strings.HasPrefix(s.key, r) })
		if !taken && !reflect.DeepEqual(s.target(c), s.target(other)) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// apply sets what the command line gives, in Consul's order: what -dev stands for;
// lists, to which the files add; files; flags; fragments.
func (l *line) apply(c *Config, fsys host.FS) error {
	if l.dev {
		c.Dev, c.Server, c.Bootstrap, c.BindAddr, c.LogLevel, c.Raft.Multiplier = true, true, true, "127.0.0.1", "debug", 1
	}
	for _, f := range l.lists {
		if err := f(c); err != nil {
			return err
		}
	}
	sum := sha256.New()
	err := l.read(fsys, func(name string, text []byte) error {
		writeSum(sum, name, text)
		return l.loadFile(c, name, text)
	})
	if err != nil {
		return err
	}
	c.sum = hex.EncodeToString(sum.Sum(nil))
	for _, f := range l.flags {
		if err := f(c); err != nil {
			return err
		}
	}
	for _, text := range l.fragments {
		if err := c.merge("-hcl", []byte(text), false); err != nil {
			return err
		}
	}
	return nil
}

// defineSetting adds a setting's flag, which when given adds to the line what it
// sets: flags come after the files, wherever these stand.
func defineSetting(fs *flag.FlagSet, s setting, l *line) {
	set := func(text string) error {
		if err := assign(s.target(&Config{}), text); err != nil {
			return err
		}
		apply := func(c *Config) error {
			c.note(s.key)
			return assign(s.target(c), text)
		}
		if _, list := s.target(&Config{}).(*[]string); list {
			l.lists = append(l.lists, apply)
		} else {
			l.flags = append(l.flags, apply)
		}
		return nil
	}
	doc := s.doc
	switch v := s.target(Default()).(type) {
	case *bool:
		fs.BoolFunc(s.flag, doc, set)
		return
	case *string:
		doc = "`STRING`: " + doc + defaultText(*v != "", *v)
	case *int:
		doc = "`NUMBER`: " + doc + defaultText(*v != 0, *v)
	case *time.Duration:
		doc = "`TIME`: " + doc + defaultText(true, *v)
	case *[]string:
		doc = "`ADDRESS`: " + doc
	case *map[string]string:
		doc = "`PAIR`: " + doc
	}
	fs.Func(s.flag, doc, set)
}

func defaultText(shown bool, v any) string {
	if !shown {
		return ""
	}
	return fmt.Sprintf(" (default %v)", v)
}

// expand returns a file's name, or those of the files with settings in a
// directory.
func (l *line) expand(fsys host.FS, name string) ([]string, error) {
	info, err := fsys.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	entries, err := fsys.ReadDir(name)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if ext := path.Ext(e.Name()); l.format == "" && ext != ".json" && ext != ".hcl" {
			continue
		}
		file := path.Join(name, e.Name())
		info, err := fsys.Stat(file) // what a link leads to may be a directory, as ..data in a ConfigMap of Kubernetes
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, file)
		}
	}
	return files, nil
}

// read calls each for every file of the line.
func (l *line) read(fsys host.FS, each func(name string, text []byte) error) error {
	for _, name := range l.files {
		files, err := l.expand(fsys, name)
		if err != nil {
			return err
		}
		for _, file := range files {
			text, err := host.ReadFile(fsys, file)
			if err != nil {
				return err
			}
			if err := each(file, text); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeSum(to io.Writer, name string, text []byte) {
	_, _ = fmt.Fprintf(to, "%q %d\n%s", name, len(text), text) // a hash takes all
}

func (l *line) loadFile(c *Config, name string, text []byte) error {
	format := l.format
	if format == "" {
		format = strings.TrimPrefix(path.Ext(name), ".")
	}
	if format != "json" && format != "hcl" {
		return fmt.Errorf("%s: the name ends neither in .json nor in .hcl: give -config-format", name)
	}
	return c.merge(name, text, format == "json")
}

// merge is Merge for a text of a name, which stands in front of all complaints.
func (c *Config) merge(name string, text []byte, isJSON bool) error {
	before := len(c.Warnings)
	if err := c.Merge(text, isJSON); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for i, w := range c.Warnings[before:] {
		c.Warnings[before+i] = name + ": " + w
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
			return fmt.Errorf("line %d: text after the end of the settings", lineOf(text, d.InputOffset()))
		}
	} else if err := hcl.Decode(&tree, string(text)); err != nil {
		return err // names the line
	}
	where := hclLines
	if isJSON {
		where = jsonLines
	}
	stands := where(text)
	for _, key := range sortedKeys(tree) {
		taken, err := c.mergeWhole(key, tree[key])
		if err != nil {
			return stands.at(key, fmt.Errorf("%s: %w", key, err))
		}
		if taken {
			delete(tree, key)
		}
	}
	byKey := map[string]setting{}
	for _, s := range settings() {
		byKey[s.key] = s
	}
	flat := map[string]any{}
	flatten(flat, "", tree, byKey)
	for _, key := range sortedKeys(flat) {
		if err := c.mergeKey(byKey, key, flat[key], stands); err != nil {
			return stands.at(key, err)
		}
	}
	return nil
}

// mergeWhole takes the keys that hold more than settings: definitions, which add
// up.
func (c *Config) mergeWhole(key string, value any) (taken bool, err error) {
	switch key {
	case "service", "services":
		list, err := definition.Services(value, definition.File)
		c.Services = append(c.Services, list...)
		return true, err
	case "check", "checks":
		list, err := definition.Checks(value, definition.File)
		c.Checks = append(c.Checks, list...)
		return true, err
	case "watches":
		list := objectsIn(value)
		if value != nil && list == nil {
			return true, fmt.Errorf("%v is not a list of objects", value)
		}
		c.Watches = append(c.Watches, list...)
		return true, nil
	}
	return false, nil
}

// mergeKey sets one key. A JSON null says nothing.
func (c *Config) mergeKey(byKey map[string]setting, key string, value any, stands lines) error {
	s, ours := byKey[key]
	if ours && value != nil {
		c.note(key)
		if err := assignValue(s.target(c), value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	if ours {
		return nil
	}
	before := len(c.Warnings)
	known, err := c.foreign(key, value)
	if err != nil {
		return err
	}
	if !known {
		for whole := range byKey {
			if strings.HasPrefix(whole, key+".") {
				return fmt.Errorf("%s: %v is not an object", key, value)
			}
		}
		return fmt.Errorf("unknown key %q", key)
	}
	for i, w := range c.Warnings[before:] {
		if n := stands[key]; n > 0 {
			c.Warnings[before+i] = fmt.Sprintf("line %d: %s", n, w)
		}
	}
	return nil
}

// flatten turns nested objects into dotted keys. HCL makes a list of one
// object of each block; a list of objects in JSON is taken for the same.
// What is a map in the table stays whole.
func flatten(to map[string]any, prefix string, from map[string]any, byKey map[string]setting) {
	for key, v := range from {
		objects := objectsIn(v)
		if s, ours := byKey[prefix+key]; ours && isMap(s.target(&Config{})) {
			to[prefix+key] = v
			continue
		}
		for _, o := range objects {
			flatten(to, prefix+key+".", o, byKey)
		}
		if len(objects) == 0 {
			to[prefix+key] = v
		}
	}
}

// objectsIn returns an object, or those in a list of nothing else, which may be
// empty; nil: it is neither.
func objectsIn(v any) []map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return []map[string]any{v}
	case []map[string]any:
		return v
	case []any:
		objects := []map[string]any{}
		for _, e := range v {
			o, ok := e.(map[string]any)
			if !ok {
				return nil
			}
			objects = append(objects, o)
		}
		return objects
	}
	return nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
