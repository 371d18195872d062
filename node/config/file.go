package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ErrFile is wrapped by the errors about what a configuration file holds.
var ErrFile = errors.New("not a valid configuration file")

// File is the path of a YAML file with settings. As a flag of a kong grammar
// it makes the file a source for that command's other flags, after the command
// line and variables and before defaults.
type File string

// value is one setting of a file.
type value struct {
	text string // as a flag would take it
	line int
}

// settings is what a file says.
type settings struct {
	path   string
	values map[string]value
}

// BeforeResolve is called by kong for the command that was chosen. It reads
// the file, if one is named, and refuses keys that are no flags of Config.
func (c *Config) BeforeResolve(ctx *kong.Context) error {
	for _, flag := range ctx.Flags() {
		if flag.Target.Type() != reflect.TypeFor[File]() {
			continue
		}
		path, ok := ctx.FlagValue(flag).(File)
		if !ok || path == "" {
			return nil
		}
		s, err := readFile(string(path))
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
		ctx.AddResolver(s)
	}
	return nil
}

// Validate is part of kong.Resolver. The keys were checked on reading.
func (s *settings) Validate(*kong.Application) error { return nil }

// Resolve is part of kong.Resolver: it gives the file's value for flag, or nil
// where the file says nothing or a variable says more.
func (s *settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	v, ok := s.values[flag.Name]
	if !ok {
		return nil, nil //nolint:nilnil // kong's way of saying "no value here"
	}
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil //nolint:nilnil // see above
		}
	}
	// A trial, so that the error has the line.
	if err := flag.Parse(scan(v.text), reflect.New(flag.Target.Type()).Elem()); err != nil {
		return nil, fmt.Errorf("config: %w: %s:%d: %w", ErrFile, s.path, v.line, err)
	}
	return v.text, nil
}

func scan(text string) *kong.Scanner {
	return kong.Scan().PushTyped(text, kong.FlagValueToken)
}

func readFile(path string) (*settings, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	return parseFile(path, text)
}

// parseFile reads one YAML mapping from flag names to values.
func parseFile(path string, text []byte) (*settings, error) {
	s := &settings{path: path, values: map[string]value{}}
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, s.syntax(err)
	}
	known := map[string]bool{}
	for _, e := range entries(Config{}) {
		known[e.name] = true
	}
	for _, doc := range f.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.NullType {
			continue
		}
		m, ok := doc.Body.(ast.MapNode)
		if !ok {
			return nil, s.at(doc.Body, "want `flag: value` lines")
		}
		for it := m.MapRange(); it.Next(); {
			if err := s.add(it.Key(), it.Value(), known); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

func (s *settings) add(key ast.MapKeyNode, node ast.Node, known map[string]bool) error {
	name := key.GetToken().Value
	if !known[name] {
		return s.at(key, "unknown key %q", name)
	}
	if _, twice := s.values[name]; twice {
		return s.at(key, "%q is there twice", name)
	}
	if node == nil || node.Type() == ast.NullType {
		return nil // `key:` alone says nothing
	}
	text, err := s.text(name, node)
	if err != nil {
		return err
	}
	s.values[name] = value{text: text, line: line(key)}
	return nil
}

// text returns the value as the command line would have it: lists are joined
// by commas.
func (s *settings) text(name string, node ast.Node) (string, error) {
	if tag, ok := node.(*ast.TagNode); ok {
		return s.text(name, tag.Value)
	}
	if list, ok := node.(*ast.SequenceNode); ok {
		parts := make([]string, 0, len(list.Values))
		for _, v := range list.Values {
			part, err := s.text(name, v)
			if err != nil {
				return "", err
			}
			if _, nested := v.(*ast.SequenceNode); nested || part == "" || strings.Contains(part, ",") {
				return "", s.at(v, "%s: an element of a list must be one value", name)
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ","), nil
	}
	if lit, ok := node.(*ast.LiteralNode); ok {
		return strings.TrimRight(lit.Value.Value, "\n"), nil
	}
	if _, ok := node.(ast.ScalarNode); !ok {
		return "", s.at(node, "%s: want a value or a list of values", name)
	}
	return node.GetToken().Value, nil
}

// at makes an error that names the line of node.
func (s *settings) at(node ast.Node, format string, args ...any) error {
	return fmt.Errorf("%w: %s:%d: %s", ErrFile, s.path, line(node), fmt.Sprintf(format, args...))
}

// syntax turns the parser's error, several lines with an excerpt of the file,
// into one line. The excerpt is left out since it may hold a password.
func (s *settings) syntax(err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		return fmt.Errorf("%w: %s:%d: %s", ErrFile, s.path, at.GetToken().Position.Line, at.GetMessage())
	}
	return fmt.Errorf("%w: %s: no YAML", ErrFile, s.path)
}

func line(node ast.Node) int {
	if tk := node.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line
	}
	return 0
}
