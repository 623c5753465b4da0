"""asv benchmarks: the same cells as a run, followed over commits. Start with `make asv`."""
