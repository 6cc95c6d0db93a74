package imageedit

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

const (
	firstDelay   = 100 * time.Millisecond
	longestDelay = 2 * time.Second
)

// tries says when to try again: each sign of life begins the patience anew.
type tries struct {
	client *Client
	delay  time.Duration
	ends   time.Time // zero while nothing has failed
}

func newTries(client *Client) *tries { return &tries{client: client} }

func (t *tries) alive() { t.ends = time.Time{} }

// wait waits for the next try, or answers the error that the caller gets when there is none.
func (t *tries) wait(ctx context.Context, cause error) error {
	if _, isCall := status.FromError(cause); !isCall {
		return cause // the caller's own reader or writer
	}
	failure := explain(cause)
	if ended := ctx.Err(); ended != nil {
		failure.cause = ended
		return failure
	}
	if !failure.transient() || t.client.conn.GetState() == connectivity.Shutdown {
		return failure
	}
	if t.ends.IsZero() {
		t.ends, t.delay = time.Now().Add(t.client.patience), firstDelay
	}
	// Half fixed, half random: a restarted server is not met by all clients at once.
	delay := max(t.delay/2+rand.N(t.delay/2), failure.RetryAfter)
	t.delay = min(2*t.delay, longestDelay)
	if time.Now().Add(delay).After(t.ends) {
		return failure
	}
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		failure = explain(status.FromContextError(ctx.Err()).Err())
		failure.cause = ctx.Err()
		return failure
	}
}

// transient tells whether the same call may be repeated and may succeed. What has no reason is not the service's
// own word but of something on the way: a server that was stopped under the call, a proxy that died.
func (e *Error) transient() bool {
	switch e.Code {
	case codes.Unavailable:
		return true
	case codes.ResourceExhausted:
		return e.Reason == "SLOW_CONSUMER"
	case codes.Canceled, codes.Internal, codes.Unknown:
		refused := strings.Contains(e.Message, "HTTP status code received from server: 4")
		return e.Reason == "" && !refused
	}
	return false
}

type method[Request, Answer any] func(context.Context, Request, ...grpc.CallOption) (Answer, error)

// call makes a unary call, again and again within its time.
func call[Request, Answer any](
	ctx context.Context, c *Client, method method[Request, Answer], request Request,
) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, max(callTimeout, c.patience))
	defer cancel()
	tries := newTries(c)
	for {
		answer, err := method(ctx, request)
		if err == nil {
			return answer, nil
		}
		if err := tries.wait(ctx, err); err != nil {
			return answer, err
		}
	}
}
