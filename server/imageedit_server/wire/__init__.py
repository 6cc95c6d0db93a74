"""What goes over the network, for every door: protobuf, and no gRPC.

``conversion`` makes nouns of messages, ``messages`` the way back, ``errors`` what a refused caller is told.
"""
