"""What tracing adds to the product."""

from noria.core.slices import Nav, Slice

SLICE = Slice(
    name="tracing",
    tables="noria.tracing.tables",
    http="noria.tracing.routes:router",
    pages="noria.tracing.pages:router",
    commands=("noria.tracing.commands:journal", "noria.tracing.commands_traces:traces"),
    lineage="noria.tracing.lineage:edges",
    erase="noria.tracing.erasure:ERASER",
    nav=(Nav("Traces", "/traces", order=10), Nav("Sessions", "/sessions", order=11), Nav("Users", "/users", order=12)),
)
