package imageedit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	pb "imageedit/clients/go/imageeditv1"
)

const chunkBytes = 256 << 10

// Upload stores a picture, whose SHA-256 is sent before its bytes and checked by the service. The same bytes
// always answer the same image. The picture is read from its start, once for the digest and once for each try.
func (c *Client) Upload(ctx context.Context, picture io.ReadSeeker) (*pb.Image, error) {
	digest, err := digestOf(picture)
	if err != nil {
		return nil, err
	}
	return c.upload(ctx, picture, digest)
}

func (c *Client) upload(ctx context.Context, picture io.ReadSeeker, digest string) (*pb.Image, error) {
	tries := newTries(c)
	for {
		image, err := c.send(ctx, picture, digest)
		if err == nil {
			return image, nil
		}
		if err := tries.wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

func (c *Client) send(ctx context.Context, picture io.ReadSeeker, digest string) (*pb.Image, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Service.UploadImage(ctx)
	if err != nil {
		return nil, err
	}
	info := &pb.UploadImageRequest_Info{Info: &pb.UploadImageInfo{Sha256: digest}}
	err = stream.Send(&pb.UploadImageRequest{Payload: info})
	if err == nil {
		err = sendChunks(stream.Send, picture)
	}
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the service answered before the last chunk
		return nil, err
	}
	answer, err := stream.CloseAndRecv()
	return answer.GetImage(), err
}

func sendChunks(send func(*pb.UploadImageRequest) error, picture io.ReadSeeker) error {
	if _, err := picture.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for {
		chunk := make([]byte, chunkBytes) // gRPC may still hold the one before
		n, err := io.ReadFull(picture, chunk)
		if n > 0 {
			if err := send(&pb.UploadImageRequest{Payload: &pb.UploadImageRequest_Chunk{Chunk: chunk[:n]}}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func digestOf(picture io.ReadSeeker) (string, error) {
	if _, err := picture.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, picture); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}
