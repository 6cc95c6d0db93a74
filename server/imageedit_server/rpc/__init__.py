"""The gRPC door: the only room with grpc and protobuf. Handlers convert, call, convert."""
