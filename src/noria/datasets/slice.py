"""What datasets adds to the product."""

from noria.core.slices import Action, Nav, Slice

SLICE = Slice(
    name="datasets",
    tables="noria.datasets.tables",
    http="noria.datasets.routes:router",
    tools="noria.datasets.tools:tools",
    pages="noria.datasets.pages:router",
    jobs={
        "datasets.import": "noria.datasets.jobs:import_files",
        "datasets.clean": "noria.datasets.jobs:clean",
        "datasets.from_feedback": "noria.datasets.jobs:from_feedback",
        "datasets.from_traces": "noria.datasets.jobs:from_traces",
        "datasets.seal": "noria.datasets.jobs:seal",
        "datasets.merge": "noria.datasets.jobs:merge",
    },
    commands=("noria.datasets.commands:datasets",),
    nav=(Nav("Datasets", "/datasets", "Improve", 10),),
    actions=(
        Action(
            name="dataset",
            title="Add to dataset",
            on=("span", "trace", "traces"),
            permission="edit",
            form="noria.datasets.collecting:form",
            do="noria.datasets.collecting:collect",
        ),
    ),
    lineage="noria.datasets.lineage:edges",
    erase="noria.datasets.erasing:ERASER",
)
