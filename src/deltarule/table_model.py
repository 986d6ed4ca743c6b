"""Models of tables: `TableModel`, and `train_table` from a file to a tested one."""

from deltarule.tabular.model import TableModel, TableTraining, train_table

__all__ = ["TableModel", "TableTraining", "train_table"]
