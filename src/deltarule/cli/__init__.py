"""The command line: parse, call, print. Each file adds its commands to the one application."""

# isort: split  # in the order in which --help lists the commands
from deltarule.cli import main
from deltarule.cli.app import app

# isort: split
from deltarule.cli import check, derive, diagnose, export, grade, notation, trace, tune

__all__ = [
    "app",
    "check",
    "derive",
    "diagnose",
    "export",
    "grade",
    "main",
    "notation",
    "trace",
    "tune",
]
