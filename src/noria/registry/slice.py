"""What registry adds to the product."""

from noria.core.slices import Nav, Slice

SLICE = Slice(
    name="registry",
    tables="noria.registry.tables",
    tools="noria.registry.tools:tools",
    http="noria.registry.http:router",
    pages="noria.registry.pages:router",
    nav=(
        Nav("Endpoints", "/endpoints", group="Serve", order=10),
        Nav("Prompts", "/prompts", group="Serve", order=20),
        Nav("Models", "/models", group="Serve", order=30),
        Nav("Providers", "/providers", group="Serve", order=40),
    ),
    commands=(
        "noria.registry.commands:endpoints",
        "noria.registry.commands:release",
        "noria.registry.commands_prices:prices",
        "noria.registry.commands_moving:import_",
        "noria.registry.commands_providers:providers",
        "noria.registry.commands_record:record",
    ),
    erase="noria.registry.erasing:ERASER",
)
