"""What happens to gradients on their way through a network, and what helps."""

from deltarule.explain.diagnose.report import Diagnosis, diagnose

__all__ = [
    "Diagnosis",
    "diagnose",
]
