"""Benchmarks: what this machine can do at most, and how near to it the program comes, beside others in the same run."""
