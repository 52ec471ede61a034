package page

import (
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"strings"
)

// sources are the parts of the page, as people read them.
//
//go:embed browser
var sources embed.FS

// scripts are the parts of the page's program, in the order in which they are
// loaded: what is defined in one is used by those after it.
func scripts() []string {
	return []string{"data.js", "view.js", "filter.js", "lanes.js", "theme.js", "draw.js", "ops.js", "messages.js", "details.js", "summary.js", "main.js"}
}

// Write writes the page: its parts put together, with the data in it.
func Write(to io.Writer, d Data) error {
	read := func(name string) (string, error) {
		b, err := sources.ReadFile("browser/" + name)
		return string(b), err
	}
	page, err := read("page.html")
	if err != nil {
		return err
	}
	style, err := read("style.css")
	if err != nil {
		return err
	}
	var program strings.Builder
	for _, name := range scripts() {
		text, err := read(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&program, "// %s\n%s\n", name, text)
	}
	// encoding/json writes <, > and & as escapes, so that no text of a run can end
	// the element that it is in.
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	title := html.EscapeString(fmt.Sprintf("%s, seed %d", d.Run.Scenario, d.Run.Seed))
	_, err = strings.NewReplacer("{{title}}", title, "{{style}}", style, "{{data}}", string(data), "{{program}}", program.String()).WriteString(to, page)
	return err
}
