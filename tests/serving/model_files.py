"""Model files that slow tests share: joined and converted once a checkout, and made-up adapters."""

from pathlib import Path

import numpy as np
import pytest

from noria.core.folder import Folder
from noria.serving import package

SHARED = Folder(Path(__file__).parents[2] / ".cache" / "tests")
LAYERS = 18
WIDTH, INNER = 640, 2048


def base_model() -> Path:
    """The packaged model; skips the test where the extra `local` is not installed."""
    if not package.installed():
        pytest.skip("needs the extra `local`")
    return package.base_model(SHARED)


def random_adapter(path: Path, *, seed: int, strength: float = 0.5) -> Path:
    """A LoRA adapter that means nothing but changes every answer."""
    import gguf

    chance = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for layer in range(LAYERS):
        down = chance.normal(0, 1 / np.sqrt(INNER), (8, INNER)).astype(np.float32)
        up = chance.normal(0, strength / np.sqrt(8), (WIDTH, 8)).astype(np.float32)
        writer.add_tensor(f"blk.{layer}.ffn_down.weight.lora_a", down)
        writer.add_tensor(f"blk.{layer}.ffn_down.weight.lora_b", up)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
