"""Nouns to protobuf messages and back, and error details. Protobuf, and no gRPC."""
