// Package imageedit is a client of the imageedit service: one contract in front of the vendors that edit
// pictures with AI.
//
// Creates answer as soon as the task is durable; Watch follows it. Every call bridges a restart of the server:
// it is tried again for as long as the client is patient, creates under one request_id, watches after the last
// event that was seen, downloads from the byte that was reached. What the service refuses is an *Error.
package imageedit

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	pb "imageedit/clients/go/imageeditv1"
)

const (
	callTimeout = 60 * time.Second
	patience    = 60 * time.Second
	mib         = 1 << 20
)

// Client is a connection to a service. It may be used by many goroutines; Close ends it.
type Client struct {
	// Service has every RPC of the contract as it was generated, without retries.
	Service pb.ImageEditServiceClient

	conn     *grpc.ClientConn
	patience time.Duration
}

// Option changes how New connects.
type Option func(*settings)

type settings struct {
	patience    time.Duration
	credentials credentials.TransportCredentials
	dial        []grpc.DialOption
}

// WithAPIKey sends the key with each call. Without WithTLS it travels readable for everyone on the way.
func WithAPIKey(key string) Option {
	return WithDialOptions(grpc.WithPerRPCCredentials(bearer(key)))
}

// WithTLS encrypts the connection; nil trusts the system's roots.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.credentials = credentials.NewTLS(config) }
}

// WithPatience sets how long calls and streams may make no progress; 60 seconds without it.
func WithPatience(patience time.Duration) Option {
	return func(s *settings) { s.patience = patience }
}

// WithDialOptions hands gRPC more options.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// New makes a client of the service at HOST:PORT. It connects with the first call.
func New(address string, options ...Option) (*Client, error) {
	chosen := settings{patience: patience, credentials: insecure.NewCredentials()}
	for _, option := range options {
		option(&chosen)
	}
	conn, err := grpc.NewClient(address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(chosen.credentials),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 * mib)), // a page of tasks with long prompts
		// A server that vanished is noticed; only a connection that was silent so long is pinged.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}, chosen.dial...)...)
	if err != nil {
		return nil, err
	}
	return &Client{Service: pb.NewImageEditServiceClient(conn), conn: conn, patience: chosen.patience}, nil
}

// Close ends all calls.
func (c *Client) Close() error { return c.conn.Close() }

// ListModels lists the models that can be used now, with their limits.
func (c *Client) ListModels(ctx context.Context) ([]*pb.Model, error) {
	answer, err := call(ctx, c, c.Service.ListModels, &pb.ListModelsRequest{})
	return answer.GetModels(), err
}

// GetTask answers the task as it is now.
func (c *Client) GetTask(ctx context.Context, taskID string) (*pb.Task, error) {
	answer, err := call(ctx, c, c.Service.GetTask, &pb.GetTaskRequest{TaskId: taskID})
	return answer.GetTask(), err
}

// CancelTask ends the task if it is not finished; its billing says who pays.
func (c *Client) CancelTask(ctx context.Context, taskID string) (*pb.Task, error) {
	answer, err := call(ctx, c, c.Service.CancelTask, &pb.CancelTaskRequest{TaskId: taskID})
	return answer.GetTask(), err
}

// newRequestID makes an idempotency key for whoever gave none: without one a create cannot be tried again.
func newRequestID() string { return rand.Text() }

type bearer string

func (key bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(key)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
