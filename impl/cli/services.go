package cli

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"path"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	capi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/hcl"

	"tribune/impl/config"
	"tribune/impl/host"
)

func servicesVerb() verb {
	return verb{
		usage:    "<subcommand> [options] [args]",
		synopsis: "Interact with services",
		about:    "Registers services with the agent, and deregisters them.",
	}
}

func servicesRegisterVerb() verb {
	return verb{
		usage:    "[options] [FILE...]",
		synopsis: "Registers services with the agent",
		about:    "Registers the services that files define, JSON or HCL as in the agent's configuration\n(\"service\" or \"services\"; what else is set there is for the agent), or without\nfiles the one that the options describe.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			var s capi.AgentServiceRegistration
			f.StringVar(&s.ID, "id", "", "`ID` of the service; default: its name")
			f.StringVar(&s.Name, "name", "", "`NAME` of the service")
			f.StringVar(&s.Address, "address", "", "`ADDRESS` of the service; default: the agent's")
			f.IntVar(&s.Port, "port", 0, "`PORT` of the service")
			f.StringVar(&s.SocketPath, "socket", "", "`PATH` of the service's Unix socket")
			f.Var((*texts)(&s.Tags), "tag", "`TAG` of the service; may be given many times")
			f.Func("meta", "`KEY=VALUE` about the service; may be given many times", func(text string) error {
				key, value, err := pair(text)
				if s.Meta == nil {
					s.Meta = map[string]string{}
				}
				s.Meta[key] = value
				return err
			})
			f.Func("tagged-address", "`NAME=ADDRESS:PORT` of the service for some purpose; may be given many times", func(text string) error {
				name, value, err := pair(text)
				if err != nil {
					return err
				}
				if s.TaggedAddresses == nil {
					s.TaggedAddresses = map[string]capi.ServiceAddress{}
				}
				s.TaggedAddresses[name], err = serviceAddress(value)
				return err
			})
			return func(files []string) error {
				if len(files) > 0 && !reflect.DeepEqual(s, capi.AgentServiceRegistration{}) {
					return errors.New("options that describe a service cannot be given with files")
				}
				services := []*capi.AgentServiceRegistration{&s}
				if len(files) > 0 {
					var err error
					if services, err = definitions(c.Host.FS(), files); err != nil {
						return err
					}
				} else if s.Name == "" {
					return errors.New("service registration requires -name or a file")
				}
				return c.register(services)
			}
		},
	}
}

func servicesDeregisterVerb() verb {
	return verb{
		usage:    "[options] [FILE...]",
		synopsis: "Deregisters services with the agent",
		about:    "Deregisters the services that files define, as for register, or without files the\none with -id.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			id := f.String("id", "", "`ID` of the service")
			return func(files []string) error {
				if (*id == "") == (len(files) == 0) {
					return errors.New("service deregistration requires either -id or files")
				}
				services := []*capi.AgentServiceRegistration{{ID: *id}}
				if len(files) > 0 {
					var err error
					if services, err = definitions(c.Host.FS(), files); err != nil {
						return err
					}
				}
				return c.deregister(services)
			}
		},
	}
}

// pair splits KEY=VALUE.
func pair(text string) (key, value string, err error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		return key, value, fmt.Errorf("%q is not KEY=VALUE", text)
	}
	return key, value, nil
}

// serviceAddress reads ADDRESS:PORT, or ADDRESS alone.
func serviceAddress(text string) (capi.ServiceAddress, error) {
	address, port, err := net.SplitHostPort(text)
	if err != nil {
		return capi.ServiceAddress{Address: text}, nil // no port
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return capi.ServiceAddress{}, fmt.Errorf("%q is no port", port)
	}
	return capi.ServiceAddress{Address: address, Port: int(n)}, nil
}

func (c *call) register(services []*capi.AgentServiceRegistration) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	for _, s := range services {
		if err := client.Agent().ServiceRegister(s); err != nil {
			return fmt.Errorf("registering service %q: %w", s.Name, err)
		}
		fmt.Fprintf(c.Stdout, "Registered service: %s\n", s.Name)
	}
	return nil
}

func (c *call) deregister(services []*capi.AgentServiceRegistration) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	for _, s := range services {
		id := s.ID
		if id == "" {
			id = s.Name
		}
		if err := client.Agent().ServiceDeregister(id); err != nil {
			return fmt.Errorf("deregistering service %q: %w", id, err)
		}
		fmt.Fprintf(c.Stdout, "Deregistered service: %s\n", id)
	}
	return nil
}

// definitions reads the services that files define, in the order in which they
// stand there.
func definitions(fsys host.FS, files []string) ([]*capi.AgentServiceRegistration, error) {
	var all []*capi.AgentServiceRegistration
	for _, name := range files {
		b, err := host.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		services, err := parseDefinitions(b, path.Ext(name) == ".json")
		if err != nil {
			return nil, fmt.Errorf("definitions in %s: %w", name, err)
		}
		all = append(all, services...)
	}
	return all, nil
}

// parseDefinitions reads the services of a file with settings of an agent, which is held
// to what an agent takes; what else it sets is for the agent.
func parseDefinitions(text []byte, isJSON bool) ([]*capi.AgentServiceRegistration, error) {
	err := config.Default().Merge(text, isJSON) // says what is wrong, and in which line
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if isJSON {
		err = json.Unmarshal(text, &tree)
	} else {
		err = hcl.Unmarshal(text, &tree)
	}
	if err != nil {
		return nil, err
	}
	var file struct {
		Service, Services []*capi.AgentServiceRegistration
	}
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: &file, WeaklyTypedInput: true, DecodeHook: oneBlock,
		MatchName: func(key, field string) bool {
			key = strings.ToLower(strings.ReplaceAll(key, "_", ""))
			return key == strings.ToLower(field) || key == "scriptargs" && field == "Args" || key == "id" && field == "CheckID"
		},
	})
	if err != nil {
		return nil, err
	}
	if err := d.Decode(tree); err != nil {
		return nil, err
	}
	services := append(file.Service, file.Services...)
	if len(services) == 0 {
		return nil, errors.New("it defines no service")
	}
	for _, s := range services {
		if s.Name == "" {
			return nil, errors.New("a service has no name")
		}
	}
	return services, nil
}

// oneBlock takes what HCL makes of a block, a list of one object, for the object
// where one is wanted.
func oneBlock(_, to reflect.Type, value any) (any, error) {
	if to.Kind() == reflect.Pointer {
		to = to.Elem()
	}
	if list, ok := value.([]map[string]any); ok && len(list) == 1 && (to.Kind() == reflect.Struct || to.Kind() == reflect.Map) {
		return list[0], nil
	}
	return value, nil
}
