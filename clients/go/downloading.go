package imageedit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"google.golang.org/grpc/codes"

	pb "imageedit/clients/go/imageeditv1"
)

// Download writes an image to a writer and checks it against its SHA-256; a stream that breaks is resumed at the
// byte that was reached. After an error the bytes that were written must not be used.
func (c *Client) Download(ctx context.Context, imageID string, to io.Writer) (*pb.Image, error) {
	d := &download{imageID: imageID, to: to, digest: sha256.New(), tries: newTries(c)}
	for {
		err := d.follow(ctx, c.Service)
		if err == nil {
			return d.image, d.check()
		}
		if err := d.tries.wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

type download struct {
	imageID string
	to      io.Writer
	digest  hash.Hash
	offset  int64
	image   *pb.Image
	tries   *tries
}

func (d *download) follow(ctx context.Context, service pb.ImageEditServiceClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := service.DownloadImage(ctx, &pb.DownloadImageRequest{ImageId: d.imageID, Offset: d.offset})
	for err == nil {
		var message *pb.DownloadImageResponse
		if message, err = stream.Recv(); err == nil {
			err = d.accept(message)
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if d.offset < d.image.GetSizeBytes() {
		return errBroken("the download ended before its last byte")
	}
	return nil
}

func (d *download) accept(message *pb.DownloadImageResponse) error {
	if info := message.GetInfo(); info != nil {
		d.image = info
	}
	chunk := message.GetChunk()
	if len(chunk) == 0 {
		return nil
	}
	d.tries.alive()
	d.digest.Write(chunk)
	d.offset += int64(len(chunk))
	_, err := d.to.Write(chunk)
	return err
}

func (d *download) check() error {
	if "sha256:"+hex.EncodeToString(d.digest.Sum(nil)) == d.imageID {
		return nil
	}
	message := "the bytes received for " + d.imageID + " have another SHA-256"
	return &Error{Code: codes.DataLoss, Reason: "IMAGE_CORRUPT", Message: message}
}
