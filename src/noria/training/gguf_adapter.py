"""Writes a LoRA adapter as the GGUF file that llama.cpp loads beside its base model.

In: peft's safetensors, the rank's scale (alpha) and the base model's GGUF, which says architecture and layers. Out: one GGUF
file. llama.cpp keeps peft's orientation: A is (rank, in), B is (out, rank), and it scales by alpha / rank itself.
"""

import re
from pathlib import Path
from typing import Any

import gguf
from safetensors.torch import load_file

from noria.core.errors import BadInput

_PEFT_NAME = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<part>[AB])(?:\.\w+)?\.weight")


def write(adapter: Path, target: Path, *, alpha: float, architecture: str, layers: int, base: str) -> None:
    """Write `adapter` (safetensors) to `target` (GGUF). Raises BadInput for a tensor that the architecture does not know."""
    names = gguf.get_tensor_name_map(_architecture(architecture), layers)
    writer = gguf.GGUFWriter(target, architecture)
    writer.add_type("adapter")
    writer.add_name(f"LoRA on {base}")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, tensor in sorted(load_file(adapter).items()):
        writer.add_tensor(_gguf_name(name, names), tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(name: str, names: Any) -> str:
    found = _PEFT_NAME.fullmatch(name)
    mapped = names.get_name(found["layer"]) if found else None
    if found is None or mapped is None:
        raise BadInput(f"The adapter has a tensor {name!r} that the base model's architecture does not.")
    return f"{mapped}.weight.lora_{found['part'].lower()}"


def _architecture(name: str) -> Any:
    for architecture, known in gguf.MODEL_ARCH_NAMES.items():
        if known == name:
            return architecture
    raise BadInput(f"llama.cpp has no architecture {name!r}.")
