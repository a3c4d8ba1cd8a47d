"""The wheel, on one screen: every slice's manifest, in the order in which data flows up through them."""

from noria.app.overview import SLICE as OVERVIEW
from noria.core.slices import Slice
from noria.datasets.slice import SLICE as DATASETS
from noria.evaluation.slice import SLICE as EVALUATION
from noria.gateway.slice import SLICE as GATEWAY
from noria.governance.slice import SLICE as GOVERNANCE
from noria.jobs.slice import SLICE as JOBS
from noria.registry.slice import SLICE as REGISTRY
from noria.serving.slice import SLICE as SERVING
from noria.tracing.slice import SLICE as TRACING
from noria.training.slice import SLICE as TRAINING

SLICES: tuple[Slice, ...] = (
    JOBS,
    GOVERNANCE,
    REGISTRY,
    GATEWAY,
    TRACING,
    SERVING,
    DATASETS,
    EVALUATION,
    TRAINING,
    OVERVIEW,
)
