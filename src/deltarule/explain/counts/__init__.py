"""How many products a gradient takes, with and without keeping what was computed."""

from deltarule.explain.counts.report import ProductCounts, count_products

__all__ = [
    "ProductCounts",
    "count_products",
]
