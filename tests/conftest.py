"""Settings for every test: hypothesis draws the same examples each time, and keeps no files."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile(
    "deltarule", deadline=None, derandomize=True, database=None, max_examples=60
)
settings.load_profile("deltarule")
