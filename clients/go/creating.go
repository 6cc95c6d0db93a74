package imageedit

import (
	"context"

	"google.golang.org/protobuf/proto"

	pb "imageedit/clients/go/imageeditv1"
)

// ByID names a picture that was uploaded or made by a task.
func ByID(imageID string) *pb.ImageSource {
	return &pb.ImageSource{Source: &pb.ImageSource_ImageId{ImageId: imageID}}
}

// EditImage starts an edit. A request without a request_id gets one, so that a retry never creates twice.
func (c *Client) EditImage(ctx context.Context, request *pb.EditImageRequest) (*pb.Task, error) {
	request = proto.CloneOf(request)
	request.RequestId = orNew(request.RequestId)
	answer, err := call(ctx, c, c.Service.EditImage, request)
	return answer.GetTask(), err
}

// CreateModelEdit starts an edit of a default model by instructions; user_id is required.
func (c *Client) CreateModelEdit(ctx context.Context, request *pb.CreateModelEditRequest) (*pb.Task, error) {
	request = proto.CloneOf(request)
	request.RequestId = orNew(request.RequestId)
	answer, err := call(ctx, c, c.Service.CreateModelEdit, request)
	return answer.GetTask(), err
}

// CreateDefaultModel makes the picture of a person that CreateModelEdit starts from; user_id is required.
func (c *Client) CreateDefaultModel(ctx context.Context, request *pb.CreateDefaultModelRequest) (*pb.Task, error) {
	request = proto.CloneOf(request)
	request.RequestId = orNew(request.RequestId)
	answer, err := call(ctx, c, c.Service.CreateDefaultModel, request)
	return answer.GetTask(), err
}

func orNew(requestID string) string {
	if requestID == "" {
		return newRequestID()
	}
	return requestID
}
