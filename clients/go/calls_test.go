package imageedit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	imageedit "imageedit/clients/go"
	pb "imageedit/clients/go/imageeditv1"
)

// calls are what the vectors name: each takes a request in the proto's JSON and answers so.
var calls = map[string]func(context.Context, *imageedit.Client, object, string) (object, error){
	"upload": func(ctx context.Context, client *imageedit.Client, _ object, picture string) (object, error) {
		file, err := os.Open(picture)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return asJSON(client.Upload(ctx, file))
	},
	"edit": func(ctx context.Context, client *imageedit.Client, request object, _ string) (object, error) {
		return asJSON(client.EditImage(ctx, asked(request, &pb.EditImageRequest{})))
	},
	"modelEdit": func(ctx context.Context, client *imageedit.Client, request object, _ string) (object, error) {
		return asJSON(client.CreateModelEdit(ctx, asked(request, &pb.CreateModelEditRequest{})))
	},
	"defaultModel": func(ctx context.Context, client *imageedit.Client, request object, _ string) (object, error) {
		return asJSON(client.CreateDefaultModel(ctx, asked(request, &pb.CreateDefaultModelRequest{})))
	},
	"get": func(ctx context.Context, client *imageedit.Client, request object, _ string) (object, error) {
		return asJSON(client.GetTask(ctx, text(request["taskId"])))
	},
	"cancel": func(ctx context.Context, client *imageedit.Client, request object, _ string) (object, error) {
		return asJSON(client.CancelTask(ctx, text(request["taskId"])))
	},
	"wait": func(ctx context.Context, client *imageedit.Client, request object, _ string) (object, error) {
		return asJSON(client.Wait(ctx, text(request["taskId"])))
	},
	"models": func(ctx context.Context, client *imageedit.Client, _ object, _ string) (object, error) {
		models, err := client.ListModels(ctx)
		return asJSON(&pb.ListModelsResponse{Models: models}, err)
	},
	"watch":    watch,
	"download": download,
}

func watch(ctx context.Context, client *imageedit.Client, request object, _ string) (object, error) {
	afterSeq, _ := strconv.ParseInt(text(request["afterSeq"]), 10, 64)
	said := object{"first": 0, "last": afterSeq, "gapless": true}
	for event, err := range client.Watch(ctx, text(request["taskId"]), afterSeq) {
		if err != nil {
			return nil, err
		}
		if said["first"] == 0 {
			said["first"] = event.GetSeq()
		}
		said["gapless"] = said["gapless"].(bool) && event.GetSeq() == said["last"].(int64)+1
		said["last"] = event.GetSeq()
		if said["task"], err = asJSON(event.GetTask(), nil); err != nil {
			return nil, err
		}
	}
	if said["first"] == 0 {
		said["last"] = 0
	}
	return said, nil
}

func download(ctx context.Context, client *imageedit.Client, request object, _ string) (object, error) {
	var content bytes.Buffer
	info, err := asJSON(client.Download(ctx, text(request["imageId"]), &content))
	return object{"imageId": idOf(content.Bytes()), "info": info}, err
}

func asked[Request proto.Message](from object, into Request) Request {
	content, err := json.Marshal(from)
	if err == nil {
		err = protojson.Unmarshal(content, into)
	}
	if err != nil {
		panic(err) // a vector that is none
	}
	return into
}

func asJSON[Answer proto.Message](answer Answer, err error) (object, error) {
	if err != nil {
		return nil, err
	}
	content, err := protojson.Marshal(answer)
	if err != nil {
		return nil, err
	}
	said := object{}
	return said, json.Unmarshal(content, &said)
}
