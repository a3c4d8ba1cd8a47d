"""What governance adds to the product."""

from noria.core.slices import Nav, Slice

SLICE = Slice(
    name="governance",
    tables="noria.governance.tables",
    http="noria.governance.routes:api",
    pages="noria.governance.routes:pages_router",
    commands=(
        "noria.governance.commands:people",
        "noria.governance.commands:keys",
        "noria.governance.commands:project",
    ),
    nav=(Nav("Audit", "/audit", group="Govern", order=80), Nav("Settings", "/settings", group="Govern", order=90)),
)
