"""The catalogue: each mistake is a rule of the step, replaced."""

from deltarule.explain.check.mistakes.catalogue import get_mistake, variants
from deltarule.explain.check.mistakes.mistake import Mistake

__all__ = ["Mistake", "get_mistake", "variants"]
