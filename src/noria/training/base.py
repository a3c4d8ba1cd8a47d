"""The base model in the form that a trainer reads: converted once from the engine's GGUF file and kept beside it.

In: a GGUF file and its sha256. Out: a folder with bf16 safetensors, configuration and tokenizer (570 MB; a minute the first
time, then nothing). What is trained on is what is served: the weights are those of the quantised file, spread out again.
"""

import shutil
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from noria.core.folder import Folder


def converted(folder: Folder, model: Path, sha256: str) -> Path:
    """The folder with the converted model; made when it is not there yet. Safe to be killed and to run twice at a time."""
    target = converted_path(folder, sha256)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    tokenizer = AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
    loaded = AutoModelForCausalLM.from_pretrained(model.parent, gguf_file=model.name, dtype=torch.bfloat16)
    # transformers refuses to save what it believes to be quantised, though the weights are spread out by now.
    loaded.hf_quantizer = None
    del loaded.config.quantization_config
    loaded.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    temporary.replace(target)
    return target


def converted_path(folder: Folder, sha256: str) -> Path:
    """Where it lies. The digest names it, so another base model gets another folder."""
    return folder.models / f"{sha256[:16]}-bf16"


def architecture(converted_model: Path) -> tuple[str, int]:
    """The converted model's architecture as llama.cpp calls it ("gemma3"), and its number of layers."""
    config = AutoConfig.from_pretrained(converted_model)
    name = config.model_type.removesuffix("_text")
    return name, int(config.num_hidden_layers)
