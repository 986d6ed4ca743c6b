"""MLPClassifier and MLPRegressor: scikit-learn's interface over this package's networks."""

from deltarule.estimators.classifier import MLPClassifier
from deltarule.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
