package imageedit

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "imageedit/clients/go/imageeditv1"
)

// Error is a call that the service refused or that did not reach it; errors.As finds it.
type Error struct {
	Code codes.Code
	// Reason is the stable word to switch on, such as "UNKNOWN_MODEL"; empty when the service said none.
	Reason  string
	Message string
	// Violations name the fields that were refused.
	Violations []Violation
	// RetryAfter is how long the service asks to wait; zero when it named no time.
	RetryAfter time.Duration

	status *status.Status
	cause  error
}

// Violation is one field of the request that was refused.
type Violation struct {
	// Field is a path in the proto's words: "images[0].url".
	Field string
	// Description says what is wrong and what would be right.
	Description string
}

func (e *Error) Error() string {
	said := make([]string, 0, len(e.Violations))
	for _, each := range e.Violations {
		said = append(said, each.Field+": "+each.Description)
	}
	if len(said) == 0 {
		said = append(said, e.Message)
	}
	return strings.Join(strings.Fields(fmt.Sprintf("imageedit: %s %s", e.Code, e.Reason)), " ") +
		": " + strings.Join(said, "; ")
}

// Unwrap answers the context's own error for a call that its context ended.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus lets status.Code and status.FromError see through it.
func (e *Error) GRPCStatus() *status.Status {
	if e.status == nil {
		return status.New(e.Code, e.Message)
	}
	return e.status
}

// TaskFailed is a task that ended FAILED or CANCELLED: the calls went well, the task did not.
type TaskFailed struct{ Task *pb.Task }

func (e *TaskFailed) Error() string {
	failure := e.Task.GetError()
	return fmt.Sprintf("imageedit: the task ended %s %s: %s", e.Task.GetState(), failure.GetReason(), failure.GetMessage())
}

// Succeeded answers nil for a task that succeeded, else *TaskFailed.
func Succeeded(task *pb.Task) error {
	if task.GetState() == pb.Task_STATE_SUCCEEDED {
		return nil
	}
	return &TaskFailed{Task: task}
}

func explain(err error) *Error {
	if known, ok := err.(*Error); ok {
		return known
	}
	said := status.Convert(err)
	failure := &Error{Code: said.Code(), Message: said.Message(), status: said}
	for _, detail := range said.Details() {
		failure.take(detail)
	}
	return failure
}

func (e *Error) take(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		e.Reason = detail.GetReason()
	case *errdetails.RetryInfo:
		e.RetryAfter = detail.GetRetryDelay().AsDuration()
	case *errdetails.BadRequest:
		for _, each := range detail.GetFieldViolations() {
			e.Violations = append(e.Violations, Violation{Field: each.GetField(), Description: each.GetDescription()})
		}
	}
}

// errBroken is a stream that ended OK too early, which only something on the way can cause.
func errBroken(message string) *Error { return &Error{Code: codes.Unavailable, Message: message} }
