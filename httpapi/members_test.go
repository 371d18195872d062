package httpapi_test

import (
	"encoding/json"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// everyMemberDocumented checks that an answer has no member that the document
// does not name. The document itself leaves answers open, so that clients made
// from it survive new members.
func (a *api) everyMemberDocumented(route *routers.Route, got answer) {
	a.t.Helper()
	resp := route.Operation.Responses.Status(got.status)
	if resp == nil {
		resp = route.Operation.Responses.Default()
	}
	media := resp.Value.Content.Get(got.header.Get("Content-Type"))
	if media == nil || media.Schema == nil || got.body == "" {
		return
	}
	var v any
	if json.Unmarshal([]byte(got.body), &v) == nil {
		named(a.t, route.Path, v, media.Schema.Value)
	}
}

func named(t *testing.T, at string, v any, schema *openapi3.Schema) {
	t.Helper()
	for _, one := range schema.OneOf {
		if one.Value.Type.Is("object") {
			schema = one.Value
		}
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			named(t, at+"[]", item, schema.Items.Value)
		}
	case map[string]any:
		for name, value := range v {
			prop := schema.Properties[name]
			if extra := schema.AdditionalProperties.Schema; prop == nil && extra != nil {
				prop = extra
			}
			if prop == nil {
				t.Errorf("%s.%s is not documented", at, name)
				continue
			}
			named(t, at+"."+name, value, prop.Value)
		}
	}
}
