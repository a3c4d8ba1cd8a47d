"""What tracing adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(name="tracing", http="noria.tracing.http:router", commands=("noria.tracing.commands:journal",))
