"""One module per benchmark: ``python -m benchmarks.b1 [--quick]`` from the root of the repository."""
