"""Random problems and people who work through them: the benchmark's own, for the tests too."""

from benchmarks.people import Person, claims_of, differs, random_problem

__all__ = ["Person", "claims_of", "differs", "random_problem"]
