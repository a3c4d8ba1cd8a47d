"""What evaluation adds to the product."""

from noria.core.slices import Nav, Slice

SLICE = Slice(
    name="evaluation",
    tables="noria.evaluation.tables",
    http="noria.evaluation.http:router",
    pages="noria.evaluation.pages:router",
    jobs={
        "evaluation.run": "noria.evaluation.runs:run",
        "evaluation.gate": "noria.evaluation.gate_runs:run",
    },
    commands=("noria.evaluation.commands:evaluations",),
    nav=(Nav("Evaluations", "/evaluations", "Improve", 20),),
    lineage="noria.evaluation.lineage:edges",
    erase="noria.evaluation.erasing:ERASER",
)
