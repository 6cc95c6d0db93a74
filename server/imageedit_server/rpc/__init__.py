"""The gRPC door: the only room with grpc and protobuf. Handlers convert, call, convert."""

import os

# gRPC's own lines go past our log to stderr, in a form of their own, and strangers cause them at will. It
# reads this when it is imported; whoever seeks a fault in it sets INFO.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
