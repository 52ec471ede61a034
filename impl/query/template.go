package query

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tribune/impl/api"
)

// compile returns the regular expression of a query that is a template, nil if it
// has none, and an error in Consul's words if the template cannot be filled in.
func compile(q api.PreparedQuery) (*regexp.Regexp, error) {
	switch q.Template.Type {
	case "":
		return nil, nil
	case api.QueryNamePrefix:
	default:
		return nil, refuse("Bad Template.Type '%s'", q.Template.Type)
	}
	var match *regexp.Regexp
	if q.Template.Regexp != "" {
		var err error
		if match, err = regexp.Compile(q.Template.Regexp); err != nil {
			return nil, refuse("Bad Regexp: %v", err)
		}
	}
	_, err := render(q, match, q.Name)
	return match, err
}

// render fills a template in for a name: in each text of its service, ${...} is
// replaced. The template stays as it is.
func render(q api.PreparedQuery, match *regexp.Regexp, name string) (api.PreparedQuery, error) {
	values := map[string]string{"name.full": name, "name.prefix": q.Name, "name.suffix": beyond(name, q.Name), "agent.segment": ""}
	var groups []string
	if match != nil {
		groups = match.FindStringSubmatch(name)
	}
	var failed error
	fill := func(text string) string {
		filled, err := interpolate(text, values, groups)
		if err != nil && failed == nil {
			failed = refuse("Bad format '%s' in Service: %v", text, err)
		}
		return filled
	}
	s := &q.Service
	s.Service, s.Near = fill(s.Service), fill(s.Near)
	s.Tags, s.IgnoreCheckIDs, s.Failover.Datacenters = filled(s.Tags, fill), filled(s.IgnoreCheckIDs, fill), filled(s.Failover.Datacenters, fill)
	s.NodeMeta, s.ServiceMeta = filledMap(s.NodeMeta, fill), filledMap(s.ServiceMeta, fill)
	s.Failover.Targets = slices.Clone(s.Failover.Targets)
	for i, t := range s.Failover.Targets {
		s.Failover.Targets[i] = api.QueryFailoverTarget{Peer: fill(t.Peer), Datacenter: fill(t.Datacenter)}
	}
	if q.Template.RemoveEmptyTags {
		s.Tags = slices.DeleteFunc(s.Tags, func(tag string) bool { return tag == "" })
	}
	return q, failed
}

func filled(list []string, fill func(string) string) []string {
	list = slices.Clone(list)
	for i := range list {
		list[i] = fill(list[i])
	}
	return list
}

func filledMap(m map[string]string, fill func(string) string) map[string]string {
	if m == nil {
		return nil
	}
	other := map[string]string{}
	for k, v := range m {
		other[k] = fill(v)
	}
	return other
}

// beyond is what follows a prefix in a name that has it but for the case, which
// may change how many bytes a letter takes.
func beyond(name, prefix string) string {
	for range prefix {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:]
	}
	return name
}

// interpolate replaces each ${NAME} by the value that has the name, ${match(N)} by
// the group of that number, which is empty if there is none, and $${ by ${.
func interpolate(text string, values map[string]string, groups []string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			b.WriteString(text)
			return b.String(), nil
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(literal + "${")
			text = rest
			continue
		}
		b.WriteString(before)
		expression, after, found := strings.Cut(rest, "}")
		if !found {
			return "", fmt.Errorf("${%s has no end", rest)
		}
		value, err := evaluate(strings.TrimSpace(expression), values, groups)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		text = after
	}
}

func evaluate(expression string, values map[string]string, groups []string) (string, error) {
	if value, known := values[expression]; known {
		return value, nil
	}
	number, ok := strings.CutPrefix(expression, "match(")
	if ok {
		number, ok = strings.CutSuffix(number, ")")
	}
	if !ok {
		return "", fmt.Errorf("%q is none of name.full, name.prefix, name.suffix, agent.segment and match(N)", expression)
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil {
		return "", fmt.Errorf("match(%s): %w", number, err)
	}
	if n < 0 || n >= len(groups) {
		return "", nil
	}
	return groups[n], nil
}
