"""`python -m deltarule.cli`."""

from deltarule.cli import app

app()
