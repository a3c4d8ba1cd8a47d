"""What governance adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(
    name="governance",
    tables="noria.governance.tables",
    http="noria.governance.http:router",
)
