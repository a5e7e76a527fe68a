"""gRPC at the edge: thin servicers, conversion between proto and domain, interceptors."""
