// Package house holds the rules of the house as tests: who may import whom,
// how wide a package, a struct, a type and a function may be, what must be
// documented and what must not exist. ARCHITECTURE.md explains the floors.
package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Limits of width. A person reads such a thing in one sitting.
const (
	maxFiles     = 25
	maxFields    = 20
	maxMethods   = 40
	maxFuncLines = 70
	maxFileLines = 500
)

// allowed lists what may exceed a limit, and why. The list only shrinks.
var allowed = map[string]string{
	"impl/server Server methods":             "the endpoints are methods; the catalog will split the server into one type an endpoint",
	"impl/config struct Config fields":       "one struct for all that a person can set",
	"impl/api struct CheckDefinition fields": "Consul's API fixes what a check may say",
}

// reservedNames say nothing about a package.
var reservedNames = []string{"util", "utils", "common", "types", "helpers", "misc", "base"}

// outside lists calls that reach past the seams; in impl they belong to the
// real half of impl/host alone.
var outside = map[string][]string{
	"net":           {"Listen", "ListenPacket", "ListenTCP", "ListenUDP", "Dial", "DialTimeout", "DialTCP", "DialUDP", "Dialer", "ListenConfig", "LookupHost", "LookupIP", "LookupAddr", "Interfaces", "InterfaceAddrs", "DefaultResolver"},
	"os":            {"Open", "OpenFile", "Create", "CreateTemp", "MkdirTemp", "ReadFile", "WriteFile", "Mkdir", "MkdirAll", "Remove", "RemoveAll", "Rename", "ReadDir", "Stat", "Lstat", "Hostname", "Truncate", "Chmod", "Link", "Symlink", "StartProcess"},
	"os/exec":       {"Command", "CommandContext"},
	"os/signal":     {"Notify", "NotifyContext", "Ignore"},
	"net/http":      {"DefaultClient", "DefaultTransport", "DefaultServeMux", "Get", "Post", "Head", "PostForm", "Handle", "HandleFunc", "ListenAndServe"},
	"log":           {"Print", "Printf", "Println", "Fatal", "Fatalf", "Fatalln", "Default", "SetOutput"},
	"log/slog":      {"Info", "Warn", "Error", "Debug", "Default", "SetDefault"},
	"math/rand":     {"Seed"},
	"io/ioutil":     {"ReadFile", "WriteFile", "ReadDir"},
	"path/filepath": {"Walk", "WalkDir", "Glob"},
}

// outsideAllowed names the files that may, and why.
var outsideAllowed = map[string]string{
	"impl/host/real.go": "the real half of the seams",
	"impl/cli":          "the command line runs on a person's machine: it reads files and signals, and never runs in a simulation",
}

type source struct {
	pkg  string // folder, slash separated
	file string
	test bool
	ast  *ast.File
}

type house struct {
	fset  *token.FileSet
	files []source
}

func load(t *testing.T) house {
	t.Helper()
	h := house{fset: token.NewFileSet()}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "tools") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(h.fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		h.files = append(h.files, source{path.Dir(name), name, strings.HasSuffix(name, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.files) < 10 {
		t.Fatalf("found only %d Go files: is the test run in the module's root?", len(h.files))
	}
	return h
}

func (h house) at(n ast.Node) string {
	p := h.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", filepath.ToSlash(p.Filename), p.Line)
}

func (h house) lines(n ast.Node) int {
	return h.fset.Position(n.End()).Line - h.fset.Position(n.Pos()).Line + 1
}

// TestImportsGoDownTheFloors holds the table of neighbours.
func TestImportsGoDownTheFloors(t *testing.T) {
	for _, s := range load(t).files {
		if s.pkg == "." || strings.Contains(s.pkg, "canary") || strings.HasPrefix(s.pkg, "examples") {
			continue
		}
		list, known := neighbours[s.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the table of neighbours: what may it import, and why is it?", s.file, s.pkg)
			continue
		}
		may := strings.Fields(list)
		if s.test {
			may = append(may, strings.Fields(testNeighbours[s.pkg])...)
			may = append(may, s.pkg)
		}
		for _, imp := range s.ast.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			p, ours := strings.CutPrefix(p, "tribune/")
			if ours && !slices.Contains(may, p) {
				t.Errorf("%s imports %s; the table lists for %s: %q", s.file, p, s.pkg, list)
			}
		}
	}
}

// TestNothingIsWiderThanAPersonReads holds the limits of width.
func TestNothingIsWiderThanAPersonReads(t *testing.T) {
	h := load(t)
	used := map[string]bool{}
	check := func(what string, n, limit int, where string) {
		if n <= limit {
			return
		}
		if _, ok := allowed[what]; ok {
			used[what] = true
			return
		}
		t.Errorf("%s: %s is %d, the limit is %d", where, what, n, limit)
	}
	files, methods := map[string]int{}, map[string]int{}
	for _, s := range h.files {
		if !s.test {
			files[s.pkg]++
		}
		check(s.file+" lines", h.fset.File(s.ast.Pos()).LineCount(), maxFileLines, s.file)
		for _, d := range s.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					recv := receiver(d)
					name = recv + "." + name
					if !s.test {
						methods[s.pkg+" "+recv]++
					}
				}
				check(s.pkg+" func "+name+" lines", h.lines(d), maxFuncLines, h.at(d))
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok {
						if st, ok := ts.Type.(*ast.StructType); ok {
							check(s.pkg+" struct "+ts.Name.Name+" fields", st.Fields.NumFields(), maxFields, h.at(ts))
						}
					}
				}
			}
		}
	}
	for pkg, n := range files {
		check(pkg+" files", n, maxFiles, pkg)
	}
	for typ, n := range methods {
		check(typ+" methods", n, maxMethods, typ)
	}
	for what, why := range allowed {
		if why == "" {
			t.Errorf("the exception for %s needs a reason", what)
		}
		if !used[what] {
			t.Errorf("the exception for %s is not needed any more: remove it", what)
		}
	}
}

func receiver(d *ast.FuncDecl) string {
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	switch typ := typ.(type) {
	case *ast.IndexExpr:
		return fmt.Sprint(typ.X)
	case *ast.IndexListExpr:
		return fmt.Sprint(typ.X)
	}
	return fmt.Sprint(typ)
}

// TestEveryPackageTeachesAndEveryExportedNameIsDocumented holds the rule of
// documentation.
func TestEveryPackageTeachesAndEveryExportedNameIsDocumented(t *testing.T) {
	h := load(t)
	taught := map[string]bool{}
	for _, s := range h.files {
		if s.ast.Doc != nil && len(s.ast.Doc.Text()) > 60 {
			taught[s.pkg] = true
		}
		if slices.Contains(reservedNames, s.ast.Name.Name) {
			t.Errorf("%s: package %s: the name says nothing", s.file, s.ast.Name.Name)
		}
		if s.test || s.ast.Name.Name == "main" {
			continue
		}
		for _, d := range s.ast.Decls {
			h.documented(t, d)
		}
	}
	for _, s := range h.files {
		if !taught[s.pkg] {
			t.Errorf("package %s has no comment that teaches it", s.pkg)
			taught[s.pkg] = true
		}
	}
}

func (h house) documented(t *testing.T, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || ast.IsExported(receiver(d)) && !wellKnown(d)) {
			t.Errorf("%s: %s is exported and not documented", h.at(d), d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
					t.Errorf("%s: type %s is exported and not documented", h.at(spec), spec.Name.Name)
				}
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
						t.Errorf("%s: %s is exported and not documented", h.at(spec), name.Name)
					}
				}
			}
		}
	}
}

// wellKnown reports methods whose meaning an interface of the standard library
// or of a used library fixes.
func wellKnown(d *ast.FuncDecl) bool {
	return slices.Contains([]string{"Error", "String", "Len", "Less", "Swap", "Push", "Pop", "Close", "Read", "Write",
		"Unwrap", "Is", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "Name", "Size", "Mode", "ModTime", "IsDir", "Sys", "Type", "Info"}, d.Name.Name)
}

// TestNoMutablePackageState holds that what runs many times in one process
// keeps nothing between runs: no init functions, and package-level variables
// that are tables, sentinels or compiled constants and never change.
func TestNoMutablePackageState(t *testing.T) {
	h := load(t)
	globals := map[string]map[string]bool{}
	for _, s := range h.files {
		if s.test || !stateless(s.pkg) {
			continue
		}
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init function", h.at(f))
			}
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				h.globals(t, g, spec.(*ast.ValueSpec), s.pkg, globals)
			}
		}
	}
	for _, s := range h.files {
		if !s.test {
			h.unchanged(t, s, globals[s.pkg])
		}
	}
}

func stateless(pkg string) bool {
	top, _, _ := strings.Cut(pkg, "/")
	return slices.Contains([]string{"impl", "sim", "netmodel", "linearizability", "scenarios"}, top) && !strings.Contains(pkg, "canary")
}

func (h house) globals(t *testing.T, g *ast.GenDecl, spec *ast.ValueSpec, pkg string, globals map[string]map[string]bool) {
	embedded := strings.Contains(comments(g.Doc)+comments(spec.Doc), "go:embed")
	for i, name := range spec.Names {
		if name.Name == "_" || embedded {
			continue
		}
		if len(spec.Values) <= i {
			t.Errorf("%s: package-level variable %s without a value can only be state", h.at(spec), name.Name)
			continue
		}
		if !constant(spec.Values[i]) {
			t.Errorf("%s: package-level variable %s is neither a table, nor a sentinel, nor a compiled constant", h.at(spec), name.Name)
		}
		if globals[pkg] == nil {
			globals[pkg] = map[string]bool{}
		}
		globals[pkg][name.Name] = true
	}
}

func comments(g *ast.CommentGroup) string {
	var b strings.Builder
	if g != nil {
		for _, c := range g.List {
			b.WriteString(c.Text)
		}
	}
	return b.String()
}

// constant reports whether an initial value is a table or is made once by a
// function without state.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		f := exprName(e.Fun)
		return strings.HasPrefix(f, "errors.New") || strings.HasPrefix(f, "fmt.") || strings.Contains(f, ".Must") ||
			strings.HasPrefix(f, "netip.") || slices.Contains([]string{"strings.NewReplacer", "crc32.MakeTable", "crc64.MakeTable", "int64", "uint64", "float64", "string"}, f) || f == "[]byte"
	case *ast.UnaryExpr:
		return e.Op != token.AND
	}
	return true
}

func exprName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return exprName(e.X) + "." + e.Sel.Name
	case *ast.ArrayType:
		return "[]" + exprName(e.Elt)
	}
	return ""
}

func (h house) unchanged(t *testing.T, s source, globals map[string]bool) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		var changed []ast.Expr
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				changed = n.Lhs
			}
		case *ast.IncDecStmt:
			changed = []ast.Expr{n.X}
		}
		for _, e := range changed {
			if x := root(e); x != nil && globals[x.Name] && (x.Obj == nil || s.ast.Scope.Lookup(x.Name) == x.Obj) {
				t.Errorf("%s: package-level variable %s is changed", h.at(n), x.Name)
			}
		}
		return true
	})
}

// root is the identifier that an expression such as a.b[c] begins with, nil if there is
// none.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.Ident:
			return x
		default:
			return nil
		}
	}
}

// TestTheAgentReachesOutsideOnlyThroughTheSeams holds the two seams.
func TestTheAgentReachesOutsideOnlyThroughTheSeams(t *testing.T) {
	h := load(t)
	for _, s := range h.files {
		if s.test || !strings.HasPrefix(s.pkg, "impl") || outsideAllowed[s.file] != "" || outsideAllowed[s.pkg] != "" {
			continue
		}
		local := map[string]string{}
		for _, imp := range s.ast.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			name := path.Base(p)
			if imp.Name != nil {
				name = imp.Name.Name
			}
			local[name] = p
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && id.Obj == nil && slices.Contains(outside[local[id.Name]], sel.Sel.Name) {
				t.Errorf("%s: %s.%s reaches past the seams; use host.Host", h.at(sel), id.Name, sel.Sel.Name)
			}
			return true
		})
	}
}
