package imageedit

import (
	"context"
	"errors"
	"io"
	"iter"

	pb "imageedit/clients/go/imageeditv1"
)

// Watch yields every event of the task once and in order, from after_seq on, to the terminal one. A stream that
// breaks is resumed after the last event; an error ends the sequence.
func (c *Client) Watch(ctx context.Context, taskID string, afterSeq int64) iter.Seq2[*pb.TaskEvent, error] {
	return func(yield func(*pb.TaskEvent, error) bool) {
		w := &watch{taskID: taskID, seq: afterSeq, mayBeOver: afterSeq > 0, tries: newTries(c)}
		for !w.finished {
			err := w.follow(ctx, c.Service, yield)
			if err == nil {
				return
			}
			if err := w.tries.wait(ctx, err); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// Wait follows the task to its end and answers it, succeeded or not; see Succeeded.
func (c *Client) Wait(ctx context.Context, taskID string) (*pb.Task, error) {
	var last *pb.Task
	for event, err := range c.Watch(ctx, taskID, 0) {
		if err != nil {
			return nil, err
		}
		last = event.GetTask()
	}
	return last, nil
}

type watch struct {
	taskID    string
	seq       int64
	mayBeOver bool // after the terminal event there is nothing to send: a watch from there ends at once
	finished  bool
	tries     *tries
}

// follow reads one stream; nil means that there is no more to yield.
func (w *watch) follow(
	ctx context.Context, service pb.ImageEditServiceClient, yield func(*pb.TaskEvent, error) bool,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := service.WatchTask(ctx, &pb.WatchTaskRequest{TaskId: w.taskID, AfterSeq: w.seq})
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) && (w.finished || w.mayBeOver) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return errBroken("the watch ended before the task did")
		}
		if err != nil {
			return err
		}
		if event := w.accept(message); event != nil && !yield(event, nil) || w.finished {
			return nil
		}
	}
}

// accept answers the event if it is news: a server that only repeats makes no progress.
func (w *watch) accept(message *pb.WatchTaskResponse) *pb.TaskEvent {
	event := message.GetEvent()
	if event == nil {
		w.tries.alive()
		return nil
	}
	if event.GetSeq() <= w.seq {
		return nil
	}
	w.tries.alive()
	w.seq, w.mayBeOver = event.GetSeq(), false
	w.finished = isTerminal(event.GetTask().GetState())
	return event
}

func isTerminal(state pb.Task_State) bool {
	switch state {
	case pb.Task_STATE_SUCCEEDED, pb.Task_STATE_FAILED, pb.Task_STATE_CANCELLED:
		return true
	}
	return false
}
