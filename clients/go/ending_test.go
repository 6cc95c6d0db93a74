package imageedit_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	imageedit "imageedit/clients/go"
)

// What a user ends is over at once, however patient the client is.

const soon = 20 * time.Second

// silent is an address where somebody takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func clientOf(t *testing.T, address string) *imageedit.Client {
	t.Helper()
	client, err := imageedit.New(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestAClientThatIsClosedTriesNothingAgain(t *testing.T) {
	client, began := clientOf(t, "127.0.0.1:1"), time.Now()
	client.Close()
	_, get := client.GetTask(t.Context(), "x")
	_, wait := client.Wait(t.Context(), "x")
	_, download := client.Download(t.Context(), "x", &bytes.Buffer{})
	_, upload := client.Upload(t.Context(), bytes.NewReader(nil))
	for _, err := range []error{get, wait, download, upload} {
		if status.Code(err) != codes.Canceled {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > soon {
		t.Error(took)
	}
}

func TestAContextThatEndsIsTheError(t *testing.T) {
	client := clientOf(t, silent(t))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Wait(ctx, "x")
	if !errors.Is(err, context.DeadlineExceeded) || status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	if _, err := client.GetTask(cancelled, "x"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type unreadable struct{}

var errUnreadable = errors.New("the disk is broken")

func (unreadable) Read([]byte) (int, error)       { return 0, errUnreadable }
func (unreadable) Seek(int64, int) (int64, error) { return 0, nil }

func TestAPictureThatCannotBeReadIsTheCallersOwnError(t *testing.T) {
	if _, err := clientOf(t, "127.0.0.1:1").Upload(t.Context(), unreadable{}); !errors.Is(err, errUnreadable) {
		t.Error(err)
	}
}
