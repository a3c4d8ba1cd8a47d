"""What datasets adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(
    name="datasets",
    tables="noria.datasets.tables",
    jobs={"datasets.import": "noria.datasets.jobs:import_files"},
)
