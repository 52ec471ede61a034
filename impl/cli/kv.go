package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/host"
)

type getOptions struct {
	detailed, keys, recurse, base64 bool
	separator                       string
}

func kvGetVerb() verb {
	return verb{
		usage:    "[options] KEY_OR_PREFIX",
		synopsis: "Retrieves or lists data from the KV store",
		about:    "Prints the value of a key, or with -recurse or -keys what lies under a prefix.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			var o getOptions
			f.BoolVar(&o.base64, "base64", false, "print values in base64")
			f.BoolVar(&o.detailed, "detailed", false, "print indexes, flags and session too")
			f.BoolVar(&o.keys, "keys", false, "print the keys under the prefix")
			f.BoolVar(&o.recurse, "recurse", false, "print all keys under the prefix with their values")
			f.StringVar(&o.separator, "separator", "/", "with -keys: `TEXT` after which keys are cut; empty cuts nothing")
			consistent := f.Bool("consistent", false, "have the leader confirm its leadership first")
			return func(args []string) error {
				if len(args) > 1 {
					return fmt.Errorf("too many arguments (expected 1, got %d)", len(args))
				}
				key := strings.TrimPrefix(strings.Join(args, ""), "/")
				if key == "" && !o.keys && !o.recurse {
					return fmt.Errorf("missing KEY argument")
				}
				q := c.query()
				q.RequireConsistent = *consistent
				return c.kvGet(key, o, q)
			}
		},
	}
}

func (c *call) kvGet(key string, o getOptions, q *capi.QueryOptions) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	switch {
	case o.keys:
		keys, _, err := client.KV().Keys(key, o.separator, q)
		if err != nil {
			return fmt.Errorf("querying agent: %w", err)
		}
		for _, k := range keys {
			fmt.Fprintln(c.Stdout, k)
		}
		return nil
	case o.recurse:
		pairs, _, err := client.KV().List(key, q)
		if err != nil {
			return fmt.Errorf("querying agent: %w", err)
		}
		for i, p := range pairs {
			if !o.detailed {
				fmt.Fprintf(c.Stdout, "%s:%s\n", p.Key, shown(p.Value, o.base64))
				continue
			}
			if i > 0 {
				fmt.Fprintln(c.Stdout)
			}
			if err := detail(c.Stdout, p, o.base64); err != nil {
				return err
			}
		}
		return nil
	}
	pair, _, err := client.KV().Get(key, q)
	if err != nil {
		return fmt.Errorf("querying agent: %w", err)
	}
	if pair == nil {
		return fmt.Errorf("no key exists at: %s", key)
	}
	if o.detailed {
		return detail(c.Stdout, pair, o.base64)
	}
	_, err = fmt.Fprintln(c.Stdout, shown(pair.Value, o.base64))
	return err
}

func shown(value []byte, encoded bool) string {
	if encoded {
		return base64.StdEncoding.EncodeToString(value)
	}
	return string(value)
}

func detail(out io.Writer, p *capi.KVPair, encoded bool) error {
	w := tabwriter.NewWriter(out, 0, 2, 6, ' ', 0)
	session := p.Session
	if session == "" {
		session = "-"
	}
	fmt.Fprintf(w, "CreateIndex\t%d\nFlags\t%d\nKey\t%s\nLockIndex\t%d\nModifyIndex\t%d\nSession\t%s\nValue\t%s\n",
		p.CreateIndex, p.Flags, p.Key, p.LockIndex, p.ModifyIndex, session, shown(p.Value, encoded))
	return w.Flush()
}

func kvPutVerb() verb {
	return verb{
		usage:    "[options] KEY [DATA]",
		synopsis: "Sets or updates data in the KV store",
		about:    "Sets a key to DATA; \"@FILE\" is what the file holds, \"-\" what is on standard input,\nand nothing is an empty value.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			cas := f.Bool("cas", false, "set the key only if its ModifyIndex is that of -modify-index; 0: only if it is absent")
			encoded := f.Bool("base64", false, "DATA is in base64")
			index := f.Uint64("modify-index", 0, "`INDEX` for -cas")
			flags := f.Uint64("flags", 0, "`NUMBER` to keep with the value, for applications")
			acquire := f.Bool("acquire", false, "lock the key for the session of -session")
			release := f.Bool("release", false, "give up the lock that the session of -session has on the key")
			session := f.String("session", "", "`ID` of the session for -acquire and -release")
			return func(args []string) error {
				switch {
				case len(args) == 0:
					return errors.New("missing KEY argument")
				case len(args) > 2:
					return fmt.Errorf("too many arguments (expected 1 or 2, got %d)", len(args))
				}
				if (*acquire || *release) && *session == "" {
					return errors.New("missing -session (required with -acquire and -release)")
				}
				key := strings.TrimPrefix(args[0], "/")
				value, err := c.data(args[1:], *encoded)
				if err != nil {
					return err
				}
				pair := &capi.KVPair{Key: key, Flags: *flags, ModifyIndex: *index, Value: value, Session: *session}
				if *acquire || *release {
					return c.kvLock(pair, *release)
				}
				return c.kvPut(pair, *cas)
			}
		},
	}
}

func (c *call) data(args []string, encoded bool) ([]byte, error) {
	var value []byte
	var err error
	switch {
	case len(args) == 0:
		return nil, nil
	case args[0] == "-":
		value, err = io.ReadAll(c.Stdin)
	case strings.HasPrefix(args[0], "@"):
		value, err = host.ReadFile(c.Host.FS(), args[0][1:])
	default:
		value = []byte(args[0])
	}
	if err != nil {
		return nil, fmt.Errorf("failed to read file: %w", err)
	}
	if !encoded {
		return value, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(value)))
	if err != nil {
		return nil, fmt.Errorf("cannot base 64 decode data: %w", err)
	}
	return decoded, nil
}

// kvLock has the session of a pair lock its key, or give up the lock.
func (c *call) kvLock(p *capi.KVPair, release bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	change, verb, did := client.KV().Acquire, "acquire", "acquired"
	if release {
		change, verb, did = client.KV().Release, "release", "released"
	}
	ok, _, err := change(p, nil)
	if err != nil {
		return fmt.Errorf("failed writing data: %w", err)
	}
	if !ok {
		return fmt.Errorf("did not %s lock", verb)
	}
	_, err = fmt.Fprintf(c.Stdout, "Success! Lock %s on: %s\n", did, p.Key)
	return err
}

func (c *call) kvPut(p *capi.KVPair, cas bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if !cas {
		if _, err := client.KV().Put(p, nil); err != nil {
			return fmt.Errorf("failed writing data: %w", err)
		}
		_, err = fmt.Fprintf(c.Stdout, "Success! Data written to: %s\n", p.Key)
		return err
	}
	ok, _, err := client.KV().CAS(p, nil)
	if err != nil {
		return fmt.Errorf("did not write to %s: %w", p.Key, err)
	}
	if !ok && p.ModifyIndex == 0 {
		return fmt.Errorf("did not write to %s: CAS performed with index=0 and key already exists", p.Key)
	}
	if !ok {
		return fmt.Errorf("did not write to %s: CAS failed", p.Key)
	}
	_, err = fmt.Fprintf(c.Stdout, "Success! Data written to: %s\n", p.Key)
	return err
}

func kvDeleteVerb() verb {
	return verb{
		usage:    "[options] KEY_OR_PREFIX",
		synopsis: "Removes data from the KV store",
		about:    "Deletes a key, or with -recurse every key under a prefix.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			cas := f.Bool("cas", false, "delete the key only if its ModifyIndex is that of -modify-index")
			index := f.Uint64("modify-index", 0, "`INDEX` for -cas")
			recurse := f.Bool("recurse", false, "delete every key under the prefix")
			return func(args []string) error {
				if len(args) > 1 {
					return fmt.Errorf("too many arguments (expected 1, got %d)", len(args))
				}
				key := strings.TrimPrefix(strings.Join(args, ""), "/")
				switch {
				case *recurse && *cas:
					return fmt.Errorf("cannot specify both -cas and -recurse")
				case key == "" && !*recurse:
					return fmt.Errorf("missing KEY argument")
				case *cas && *index == 0:
					return fmt.Errorf("must specify -modify-index with -cas")
				case *index != 0 && !*cas:
					return fmt.Errorf("cannot specify -modify-index without -cas")
				}
				return c.kvDelete(key, *recurse, *cas, *index)
			}
		},
	}
}

func (c *call) kvDelete(key string, recurse, cas bool, index uint64) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	switch {
	case recurse:
		if _, err := client.KV().DeleteTree(key, nil); err != nil {
			return fmt.Errorf("did not delete prefix %s: %w", key, err)
		}
		_, err = fmt.Fprintf(c.Stdout, "Success! Deleted keys with prefix: %s\n", key)
	case cas:
		ok, _, derr := client.KV().DeleteCAS(&capi.KVPair{Key: key, ModifyIndex: index}, nil)
		if derr != nil {
			return fmt.Errorf("did not delete key %s: %w", key, derr)
		}
		if !ok {
			return fmt.Errorf("did not delete key %s: CAS failed", key)
		}
		_, err = fmt.Fprintf(c.Stdout, "Success! Deleted key: %s\n", key)
	default:
		if _, err := client.KV().Delete(key, nil); err != nil {
			return fmt.Errorf("deleting key %s: %w", key, err)
		}
		_, err = fmt.Fprintf(c.Stdout, "Success! Deleted key: %s\n", key)
	}
	return err
}

// exported is an entry in Consul's export format.
type exported struct {
	Key   string `json:"key"`
	Flags uint64 `json:"flags"`
	Value []byte `json:"value"`
}

func kvExportVerb() verb {
	return verb{
		usage:    "[options] [PREFIX]",
		synopsis: "Exports a tree from the KV store as JSON",
		about:    "Prints every entry under a prefix as JSON that `tribune kv import` takes.",
		flags: func(_ *flag.FlagSet, c *call) func([]string) error {
			return func(args []string) error {
				if len(args) > 1 {
					return fmt.Errorf("too many arguments (expected 1, got %d)", len(args))
				}
				prefix := strings.TrimPrefix(strings.Join(args, ""), "/")
				client, err := c.client()
				if err != nil {
					return err
				}
				pairs, _, err := client.KV().List(prefix, c.query())
				if err != nil {
					return fmt.Errorf("querying agent: %w", err)
				}
				out := make([]exported, len(pairs))
				for i, p := range pairs {
					// Not null when it is empty: others read it as text.
					out[i] = exported{p.Key, p.Flags, append([]byte{}, p.Value...)}
				}
				b, err := json.MarshalIndent(out, "", "\t")
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(c.Stdout, string(b))
				return err
			}
		},
	}
}

func kvImportVerb() verb {
	return verb{
		usage:    "[options] DATA",
		synopsis: "Imports a tree stored as JSON to the KV store",
		about:    "Sets every entry of what `tribune kv export` printed; \"@FILE\" is what the file\nholds, \"-\" what is on standard input.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			prefix := f.String("prefix", "", "`PREFIX` to put before every key, with a slash between")
			return func(args []string) error {
				if len(args) != 1 {
					return fmt.Errorf("expected DATA, got %d arguments", len(args))
				}
				b, err := c.data(args, false)
				if err != nil {
					return err
				}
				var entries []exported
				if err := json.Unmarshal(b, &entries); err != nil {
					return fmt.Errorf("cannot unmarshal data: %w", err)
				}
				under := strings.Trim(*prefix, "/")
				if under != "" {
					under += "/"
				}
				return c.kvImport(under, entries)
			}
		},
	}
}

func (c *call) kvImport(prefix string, entries []exported) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	for _, e := range entries {
		p := &capi.KVPair{Key: prefix + e.Key, Flags: e.Flags, Value: e.Value}
		if _, err := client.KV().Put(p, nil); err != nil {
			return fmt.Errorf("failed writing data for key %s: %w", p.Key, err)
		}
		fmt.Fprintf(c.Stdout, "Imported: %s\n", p.Key)
	}
	return nil
}
