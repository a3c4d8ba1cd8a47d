"""What evaluation adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(
    name="evaluation",
    tables="noria.evaluation.tables",
    jobs={
        "evaluation.run": "noria.evaluation.runs:run",
        "evaluation.gate": "noria.evaluation.gate_runs:run",
    },
)
