"""What we claim, measured against what users would pick instead: ``python -m benchmarks``."""
