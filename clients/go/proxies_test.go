package imageedit_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	imageedit "imageedit/clients/go"
)

// Something on the way answers in the service's place, in HTTP's words and not in gRPC's: what it refuses is asked
// once, what is broken there is asked again.
func TestWhatAProxySays(t *testing.T) {
	for _, refuses := range []int{400, 401, 403, 404, 413} {
		t.Run(fmt.Sprint(refuses), func(t *testing.T) {
			if times, err := answered(t, refuses); times != 1 {
				t.Error(times, err)
			}
		})
	}
	for _, broken := range []int{502, 503, 504} {
		t.Run(fmt.Sprint(broken), func(t *testing.T) {
			if times, err := answered(t, broken); times < 2 || status.Code(err) != codes.Unavailable {
				t.Error(times, err)
			}
		})
	}
}

// answered tells how often a proxy that says code to everything was asked, and what the caller got.
func answered(t *testing.T, code int) (int64, error) {
	t.Helper()
	var times atomic.Int64
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		times.Add(1)
		answer.Header().Set("Content-Type", "text/html")
		answer.WriteHeader(code)
	}))
	proxy.Config.Protocols = new(http.Protocols)
	proxy.Config.Protocols.SetUnencryptedHTTP2(true)
	proxy.Start()
	t.Cleanup(proxy.Close)
	address := strings.TrimPrefix(proxy.URL, "http://")
	client, err := imageedit.New(address, imageedit.WithPatience(300*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Upload(t.Context(), bytes.NewReader(make([]byte, 1000)))
	return times.Load(), err
}
