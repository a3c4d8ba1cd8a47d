"""What datasets adds to the product."""

from noria.core.slices import Nav, Slice

SLICE = Slice(
    name="datasets",
    tables="noria.datasets.tables",
    http="noria.datasets.http:router",
    pages="noria.datasets.pages:router",
    jobs={
        "datasets.import": "noria.datasets.jobs:import_files",
        "datasets.clean": "noria.datasets.jobs:clean",
        "datasets.from_feedback": "noria.datasets.jobs:from_feedback",
        "datasets.merge": "noria.datasets.jobs:merge",
    },
    commands=("noria.datasets.commands:datasets",),
    nav=(Nav("Datasets", "/datasets", "Improve", 10),),
    lineage="noria.datasets.lineage:edges",
    erase="noria.datasets.erasing:ERASER",
)
