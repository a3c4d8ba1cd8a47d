"""What serving adds to the product: local engines, kept running by the supervisor."""

from noria.core.slices import Slice

SLICE = Slice(name="serving", commands=("noria.serving.commands:engine",))
