package imageedit_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"

	imageedit "imageedit/clients/go"
)

type object = map[string]any

type step struct {
	Call, Picture, Through, Key, As string
	Request, Expect                 object
}

type place struct {
	Vectors, Pictures string
	Addresses, Keys   map[string]string
}

// TestConformance runs the vectors of clients/conformance against the server that IMAGEEDIT_CONFORMANCE describes.
func TestConformance(t *testing.T) {
	described := os.Getenv("IMAGEEDIT_CONFORMANCE")
	if described == "" {
		t.Skip("IMAGEEDIT_CONFORMANCE describes no server; see clients/conformance/README.md")
	}
	var here place
	read(t, described, &here)
	var vectors []struct {
		Name  string
		Steps []step
	}
	read(t, here.Vectors, &vectors)
	for _, vector := range vectors {
		t.Run(vector.Name, func(t *testing.T) {
			saved := object{}
			for _, each := range vector.Steps {
				here.carryOut(t, each, saved)
			}
		})
	}
}

func (p *place) carryOut(t *testing.T, s step, saved object) {
	t.Helper()
	client := p.client(t, s)
	defer client.Close()
	request := filled(s.Request, saved, func(name string) string {
		return base64.StdEncoding.EncodeToString(p.picture(t, name))
	})
	said, err := call(t.Context(), client, s.Call, request, filepath.Join(p.Pictures, s.Picture))
	if refusal := (*imageedit.Error)(nil); errors.As(err, &refusal) {
		said = object{"refused": refused(refusal)}
	} else if err != nil {
		t.Fatal(err)
	}
	saved[s.As] = said
	expected := filled(s.Expect, saved, func(name string) string { return idOf(p.picture(t, name)) })
	if (said["refused"] == nil) != (expected.(object)["refused"] == nil) {
		t.Fatalf("%s: %v", s.Call, said)
	}
	agree(t, said, expected, s.Call)
}

func (p *place) client(t *testing.T, s step) *imageedit.Client {
	t.Helper()
	through, key := orElse(s.Through, "direct"), p.Keys[orElse(s.Key, "right")]
	var options []imageedit.Option
	if key != "" {
		options = append(options, imageedit.WithAPIKey(key))
	}
	if through == "nowhere" {
		options = append(options, imageedit.WithPatience(500*time.Millisecond))
	}
	client, err := imageedit.New(p.Addresses[through], options...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (p *place) picture(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(p.Pictures, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func call(ctx context.Context, client *imageedit.Client, name string, request any, picture string) (object, error) {
	known, ok := calls[name]
	if !ok {
		return nil, fmt.Errorf("there is no call %s", name)
	}
	return known(ctx, client, request.(object), picture)
}

func refused(refusal *imageedit.Error) object {
	fields := []any{}
	for _, each := range refusal.Violations {
		fields = append(fields, each.Field)
	}
	return object{"code": code.Code_name[int32(refusal.Code)], "reason": refusal.Reason, "fields": fields}
}

// filled puts in what "$step.field" and "@picture" stand for.
func filled(value any, saved object, ofPicture func(string) string) any {
	switch value := value.(type) {
	case string:
		if name, ok := strings.CutPrefix(value, "@"); ok {
			return ofPicture(name)
		}
		if path, ok := strings.CutPrefix(value, "$"); ok {
			return at(saved, strings.Split(path, "."))
		}
	case []any:
		list := make([]any, len(value))
		for i, each := range value {
			list[i] = filled(each, saved, ofPicture)
		}
		return list
	case object:
		members := object{}
		for name, each := range value {
			members[name] = filled(each, saved, ofPicture)
		}
		return members
	}
	return value
}

func at(value any, path []string) any {
	for _, name := range path {
		switch inner := value.(type) {
		case []any:
			index, _ := strconv.Atoi(name)
			value = inner[index]
		case object:
			value = inner[name]
		}
	}
	return value
}

// agree holds: what is expected of an object must be, what else it has does not matter; leaves are equal as text.
func agree(t *testing.T, said, expected any, path string) {
	t.Helper()
	switch expected := expected.(type) {
	case []any:
		list, _ := said.([]any)
		if len(list) != len(expected) {
			t.Fatalf("%s: %v", path, said)
		}
		for i, each := range expected {
			agree(t, list[i], each, fmt.Sprintf("%s[%d]", path, i))
		}
	case object:
		members, _ := said.(object)
		for name, each := range expected {
			agree(t, members[name], each, path+"."+name)
		}
	default:
		if text(said) != text(expected) {
			t.Fatalf("%s: %v is not %v", path, said, expected)
		}
	}
}

func text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func idOf(content []byte) string {
	digest := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(digest[:])
}

func orElse(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}
