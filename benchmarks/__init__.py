"""Benchmarks that any user can run: `python -m benchmarks` (or `make bench`).

Ours against every installed peer, each in its best known form, in one interleaved run, on plain
SGD with the same starting weights, the same data and the same order of the data.
"""
