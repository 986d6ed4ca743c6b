"""Models of tables: `TableModel`, and `train_table` from a file to a tested one."""

from deltarule.tabular.model import TableModel
from deltarule.tabular.training import TableTraining, train_table

__all__ = ["TableModel", "TableTraining", "train_table"]
