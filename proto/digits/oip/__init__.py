"""The Open Inference Protocol: generated from the `.proto` file beside this one by `make proto`."""
