"""What the pages claim, measured: `python -m benchmarks --help`."""
