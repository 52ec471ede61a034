package trace

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// PredicateHelp explains the language of ParsePredicate.
const PredicateHelp = `A predicate chooses events. Its terms:
  kind=fault  node=s2  peer=s3     equal; != is not equal; node=- is the world itself
  text~"snapshot|install"          matches a regular expression; also node, peer and kind
  text="exit"                      the whole text
  at>12s  at<=1m30s                the virtual time; also = and !=
  size>1000  number>=500           bytes; the event's number
Terms are joined by and, or and not, with parentheses; and binds closer than or. A
value with blanks or parentheses stands in double quotes, as in Go.
`

// Predicate chooses events; number is the event's, counted from 0.
type Predicate func(number uint64, e Event) bool

// PredicateError says what is wrong with a predicate, and where.
type PredicateError struct {
	Text   string // the predicate
	Column int    // of what is wrong: characters before it
	Reason string
}

// Error shows the predicate with a mark under what is wrong.
func (e *PredicateError) Error() string {
	return fmt.Sprintf("%s\n  %s\n  %*s", e.Reason, e.Text, e.Column+1, "^")
}

// ParsePredicate returns the predicate that a text says, see PredicateHelp. An error
// is a *PredicateError.
func ParsePredicate(text string) (p Predicate, err error) {
	parser := &parser{text: strings.Map(oneLine, strings.ToValidUTF8(text, "?"))}
	defer func() {
		if r := recover(); r != nil {
			wrong, ok := r.(*PredicateError)
			if !ok {
				panic(r)
			}
			p, err = nil, wrong
		}
	}()
	parser.next()
	p = parser.either()
	if parser.word != "" {
		parser.fail(parser.at, "%q is too much: and, or, or the end must come here", parser.word)
	}
	return p, nil
}

// oneLine keeps the mark of an error under what it means.
func oneLine(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// parser goes through the text by recursive descent, a function a rule:
//
//	either = both { "or" both } .
//	both   = single { "and" single } .
//	single = "not" single | "(" either ")" | term .
//	term   = field operator value .
type parser struct {
	text string
	rest int    // where the next word begins, or blanks before it
	word string // the present one; "" at the end
	at   int    // where it begins
}

// fail ends the parsing.
func (p *parser) fail(at int, format string, args ...any) {
	panic(&PredicateError{p.text, utf8.RuneCountInString(p.text[:at]), fmt.Sprintf(format, args...)})
}

// operators are those of a term; longer ones first.
const operators = "!= <= >= = < > ~"

// next goes on to the next word: a parenthesis, an operator, a quoted string with
// its quotes, or letters up to any of these or a blank.
func (p *parser) next() {
	for p.rest < len(p.text) && p.text[p.rest] == ' ' {
		p.rest++
	}
	p.at = p.rest
	rest := p.text[p.rest:]
	length := strings.IndexAny(rest, ` ()=<>~!"`)
	switch {
	case rest == "":
		length = 0
	case rest[0] == '(' || rest[0] == ')':
		length = 1
	case rest[0] == '"':
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			p.fail(p.at, "this quotation does not end, or is none as Go writes them")
		}
		length = len(quoted)
	case length == 0:
		length = 1
		for op := range strings.FieldsSeq(operators) {
			if strings.HasPrefix(rest, op) {
				length = len(op)
				break
			}
		}
	case length < 0:
		length = len(rest)
	}
	p.word = rest[:length]
	p.rest += length
}

// take goes past the present word if it is the one given.
func (p *parser) take(word string) bool {
	if p.word != word {
		return false
	}
	p.next()
	return true
}

func (p *parser) either() Predicate {
	left := p.both()
	for p.take("or") {
		a, b := left, p.both()
		left = func(n uint64, e Event) bool { return a(n, e) || b(n, e) }
	}
	return left
}

func (p *parser) both() Predicate {
	left := p.single()
	for p.take("and") {
		a, b := left, p.single()
		left = func(n uint64, e Event) bool { return a(n, e) && b(n, e) }
	}
	return left
}

func (p *parser) single() Predicate {
	if p.take("not") {
		inner := p.single()
		return func(n uint64, e Event) bool { return !inner(n, e) }
	}
	if begin := p.at; p.take("(") {
		inner := p.either()
		if !p.take(")") {
			p.fail(begin, "this parenthesis is not closed")
		}
		return inner
	}
	return p.term()
}

func (p *parser) term() Predicate {
	field, at := p.word, p.at
	if field == "" {
		p.fail(at, "a term such as kind=fault is missing here")
	}
	const fields = " kind node peer text at size number "
	if !strings.Contains(fields, " "+field+" ") || strings.Contains(field, " ") {
		p.fail(at, "%q is no field of an event; there are%sand the words and, or, not", field, fields)
	}
	p.next()
	op, opAt := p.word, p.at
	if op == "" || !strings.Contains(" "+operators+" ", " "+op+" ") {
		p.fail(opAt, "after %s one of %s must come", field, operators)
	}
	p.next()
	value, valueAt := p.word, p.at
	if unquoted, err := strconv.Unquote(value); err == nil {
		value = unquoted
	} else if value == "" || strings.ContainsAny(value, "()=<>~!") {
		p.fail(valueAt, "after %s%s a value must come; one with blanks or signs in double quotes", field, op)
	}
	test := p.test(field, op, opAt, value, valueAt)
	p.next()
	return test
}

// test is the predicate of a term.
func (p *parser) test(field, op string, opAt int, value string, valueAt int) Predicate {
	switch field {
	case "at":
		d, err := time.ParseDuration(value)
		if err != nil {
			p.fail(valueAt, "%q is no time; give one such as 12.5s", value)
		}
		return compared(p.order(field, op, opAt), int64(d), func(_ uint64, e Event) int64 { return int64(e.At) })
	case "size", "number":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			p.fail(valueAt, "%q is no whole number", value)
		}
		return compared(p.order(field, op, opAt), n, func(number uint64, e Event) int64 {
			if field == "size" {
				return e.Size
			}
			return int64(number)
		})
	}
	get := map[string]func(Event) string{
		"kind": func(e Event) string { return e.Kind.String() },
		"node": func(e Event) string { return place(e) },
		"peer": func(e Event) string { return e.Peer },
		"text": func(e Event) string { return e.Text },
	}[field]
	switch op {
	case "=", "!=":
		if field == "kind" {
			if _, err := ParseKind(value); err != nil {
				p.fail(valueAt, "%v", err)
			}
		}
		return func(_ uint64, e Event) bool { return (get(e) == value) == (op == "=") }
	case "~":
		pattern, err := regexp.Compile(value)
		if err != nil {
			p.fail(valueAt, "%v", err)
		}
		return func(_ uint64, e Event) bool { return pattern.MatchString(get(e)) }
	}
	p.fail(opAt, "%s has no order: compare it by =, != or ~", field)
	return nil
}

// order is what an operator asks of a comparison's result.
func (p *parser) order(field, op string, at int) func(int) bool {
	switch op {
	case "=":
		return func(c int) bool { return c == 0 }
	case "!=":
		return func(c int) bool { return c != 0 }
	case "<":
		return func(c int) bool { return c < 0 }
	case "<=":
		return func(c int) bool { return c <= 0 }
	case ">":
		return func(c int) bool { return c > 0 }
	case ">=":
		return func(c int) bool { return c >= 0 }
	}
	p.fail(at, "%s is no text: compare it by =, !=, <, <=, > or >=", field)
	return nil
}

func compared(fits func(int) bool, with int64, get func(uint64, Event) int64) Predicate {
	return func(n uint64, e Event) bool { return fits(cmp.Compare(get(n, e), with)) }
}
