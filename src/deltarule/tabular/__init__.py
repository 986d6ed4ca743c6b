"""Tables in and out: read any table, encode it as numbers, store the encoding, decode the target.

The order of use is `read_table`, `TargetColumn.fit`, `split_rows`, `TableEncoder.fit` on the
training rows, `encode`; `to_dict` of both goes into the model file.
"""

from deltarule.tabular.columns import NumberColumn, TextColumn
from deltarule.tabular.encoder import Encoded, TableEncoder
from deltarule.tabular.model import TableModel
from deltarule.tabular.read import DATASETS, read_table
from deltarule.tabular.split import Split, split_rows
from deltarule.tabular.target import TargetColumn
from deltarule.tabular.training import TableTraining, train_table

__all__ = [
    "DATASETS",
    "Encoded",
    "NumberColumn",
    "Split",
    "TableEncoder",
    "TableModel",
    "TableTraining",
    "TargetColumn",
    "TextColumn",
    "read_table",
    "split_rows",
    "train_table",
]
