"""The image-editing gateway: one gRPC service in front of many vendors."""
