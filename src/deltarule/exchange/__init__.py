"""Networks and estimators to and from other systems: scikit-learn, PyTorch, ONNX.

Each module imports its system only when one of its functions is called, so nothing is imported
here.
"""
