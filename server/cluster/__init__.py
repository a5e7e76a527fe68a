"""The same services on a Ray cluster: the domain core mounted once more. Nothing else here imports Ray."""
