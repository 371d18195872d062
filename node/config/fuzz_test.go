package config

import "testing"

// FuzzFile holds that any text is read or refused with an error of this
// package, and never makes a key that is no flag.
func FuzzFile(f *testing.F) {
	for _, text := range []string{"", "http: a:1\n", "join: [a, 'b']\n", "join:\n  - a\n", "a: &x 1\nb: *x", "<<: {http: a}", "http: !!str |\n  x\n", "? [a]\n: b", "\x00", "{", "---\n---\n"} {
		f.Add([]byte(text))
	}
	known := map[string]bool{}
	for _, e := range entries(Config{}) {
		known[e.name] = true
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseFile("f.yaml", text)
		if err != nil {
			return
		}
		for name := range s.values {
			if !known[name] {
				t.Errorf("unknown key %q was accepted", name)
			}
		}
	})
}
