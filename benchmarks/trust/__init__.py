"""Scripts that show with numbers how far a run's verdicts can be trusted. Start with `python -m benchmarks.trust`."""
