"""Export to ONNX: a network, an estimator, or a model of a table with all of its preprocessing."""

from deltarule.exchange.onnx.model import register_skl2onnx, signature, table_inputs, to_onnx

__all__ = ["register_skl2onnx", "signature", "table_inputs", "to_onnx"]
