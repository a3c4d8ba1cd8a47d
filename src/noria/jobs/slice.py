"""What jobs adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(
    name="jobs",
    tables="noria.jobs.tables",
    http="noria.jobs.http:router",
)
