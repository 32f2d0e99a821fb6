"""The table of what trains how."""

from typing import NamedTuple


class LayerCoverage(NamedTuple):
    """How one layer is trained.

    Attributes:
        layer: String, the layer's name, after those of the layers around it.
        kind: String, the layer's class.
        activation: String, the name of its activation, and where it stands if
            that is behind the layer; empty if there is none.
        trained_by: String: `"matching loss"`, `"squared loss"` or `"fallback"`.
        reason: String: why not by a matching loss; empty where it is.
        weights: Integer, the number of trainable scalars.
        rows: Integer, the rows that an example has in the local problem: time
            steps, output positions of a convolution. Empty for the fallback and
            where the model does not tell.
    """

    layer: str
    kind: str
    activation: str
    trained_by: str
    reason: str
    weights: int
    rows: int | str


class Coverage(list):
    """A list of `LayerCoverage` that prints as a table."""

    def __repr__(self):
        header = [name.replace("_", " ") for name in LayerCoverage._fields]
        rows = [header] + [[str(cell) for cell in row] for row in self]
        widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
        rows.insert(1, ["-" * width for width in widths])
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip()
            for row in rows
        )

    __str__ = __repr__
