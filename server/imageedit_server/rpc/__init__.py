"""The gRPC door: the only room with grpc and protobuf. Handlers convert, call, convert."""

import os

# What gRPC documents as its default, before it is loaded. Without it every stranger's handshake that fails is
# a line on stderr, between ours and in no form that a log reader knows.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
