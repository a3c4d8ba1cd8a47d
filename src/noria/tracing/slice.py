"""What tracing adds to the product."""

from noria.core.slices import Action, Nav, Slice

SLICE = Slice(
    name="tracing",
    tables="noria.tracing.tables",
    tools="noria.tracing.tools:tools",
    http="noria.tracing.routes:router",
    pages="noria.tracing.pages:router",
    jobs={"tracing.import": "noria.tracing.jobs:import_traces"},
    commands=(
        "noria.tracing.commands:journal",
        "noria.tracing.commands_traces:traces",
        "noria.tracing.commands_import:import_",
    ),
    lineage="noria.tracing.lineage:edges",
    erase="noria.tracing.erasure:ERASER",
    nav=(
        Nav("Dashboard", "/dashboard", order=9),
        Nav("Traces", "/traces", order=10),
        Nav("Sessions", "/sessions", order=11),
        Nav("Users", "/users", order=12),
        Nav("Scores", "/scores", order=13),
        Nav("Costs", "/costs", order=14),
    ),
    actions=(
        Action(
            name="score",
            title="Score",
            on=("span", "trace", "traces"),
            permission="feedback",
            form="noria.tracing.labels:form",
            do="noria.tracing.labels:judge",
        ),
    ),
)
