"""What registry adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(
    name="registry",
    tables="noria.registry.tables",
    http="noria.registry.http:router",
    commands=("noria.registry.commands:endpoints", "noria.registry.commands:release"),
)
