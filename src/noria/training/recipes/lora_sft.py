"""LoRA supervised fine-tuning of a small language model on CPU cores: prompt in, completion learned.

In: a converted base model (noria.training.base) and pairs of (prompt, completion). Out: an adapter. In order: tokenise,
lay out the batches, wrap the model, train, keep checkpoints. What is worth knowing:

- Prompt and completion are tokenised apart and joined, exactly as the engine sees them when it serves: the prompt alone
  with its beginning-of-sequence token, then whatever the model writes. The completion ends with the end-of-sequence
  token, so the tuned model knows when to stop.
- Only completion tokens carry loss, and the output layer (262k words wide) is computed at those positions only: 1.8x;
  of its words only the 32k most frequent and those of the examples take part, which costs no quality and a third less memory.
- The base stays bf16, the adapter's weights are fp32: 1.4x over all fp32, and the optimiser does not lose small steps.
- Batches hold examples of like length, so hardly anything is spent on padding.
- Which examples a step sees follows from the seed and the step's number alone and there is no dropout, so a run that
  was killed goes on from its last checkpoint as if nothing had happened.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from noria.core.errors import BadInput
from noria.training.configs import LoraSft

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Pair:
    """One example as text: what the model is given and what it should write."""

    prompt: str
    completion: str
    row_id: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One example as token ids; loss is taken from position `start` on."""

    ids: list[int]
    start: int
    row_id: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished run leaves. `adapter` is a safetensors file with peft's tensor names."""

    adapter: Path
    steps: int
    examples: int
    left_out: int
    tokens: int
    completion_tokens: int
    first_loss: float
    final_loss: float
    """Mean loss of the last eighth of the steps: a single batch says little."""
    rows: list[str]
    """Ids of the rows that were learned."""


OnStep = Callable[[int, int, dict[str, float]], None]
"""Called after each step with (steps done, steps in all, {"loss", "learning_rate", "tokens_per_second"}); may raise to stop."""


def train(config: LoraSft, *, base: Path, pairs: Sequence[Pair], work: Path, on_step: OnStep) -> Result:
    """Train and return the result. Goes on from the newest checkpoint in `work` when there is one.

    Raises BadInput when no example can be used.
    """
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    examples, left_out = tokenise(config, base, pairs)
    batches = lay_out(config, examples)
    model = wrap(config, base)
    words = output_words(config, model, examples)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=0.0)
    losses = resume(work, model, optimiser)

    for step in range(len(losses), len(batches)):
        began = time.perf_counter()
        batch = [examples[i] for i in batches[step]]
        rate = learning_rate(config, step, len(batches))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = batch_loss(model, words, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, config.clip)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        if len(losses) % config.checkpoint_every == 0 and len(losses) < len(batches):
            save_checkpoint(work, model, optimiser, losses)
        speed = sum(len(e.ids) for e in batch) / (time.perf_counter() - began)
        on_step(len(losses), len(batches), {"loss": losses[-1], "learning_rate": rate, "tokens_per_second": speed})

    adapter = work / "adapter.safetensors"
    save_file(adapter_weights(model), adapter)
    last = losses[-max(1, len(losses) // 8) :]
    seen = [examples[i] for batch in batches for i in batch]
    return Result(
        adapter=adapter,
        steps=len(batches),
        examples=len(examples),
        left_out=left_out,
        tokens=sum(len(e.ids) for e in seen),
        completion_tokens=sum(len(e.ids) - e.start for e in seen),
        first_loss=losses[0],
        final_loss=sum(last) / len(last),
        rows=sorted({example.row_id for example in seen}),
    )


def tokenise(config: LoraSft, base: Path, pairs: Sequence[Pair]) -> tuple[list[Tokens], int]:
    """The examples that this run uses, and how many were left out because they are too long."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    chosen = list(pairs)
    random.Random(config.seed).shuffle(chosen)
    examples, left_out = [], 0
    for pair in chosen[: config.examples]:
        prompt = tokenizer(pair.prompt)["input_ids"]
        completion = tokenizer(pair.completion, add_special_tokens=False)["input_ids"]
        ids = [*prompt, *completion, tokenizer.eos_token_id]
        if len(ids) > config.max_tokens:
            left_out += 1
        else:
            examples.append(Tokens(ids, start=len(prompt), row_id=pair.row_id))
    if not examples:
        raise BadInput(
            f"No example can be used for training: {len(pairs)} rows, {left_out} of them too long.",
            hint=f"Examples may have up to {config.max_tokens} tokens (parameter max_tokens).",
        )
    return examples, left_out


def lay_out(config: LoraSft, examples: Sequence[Tokens]) -> list[list[int]]:
    """Indices of the examples of each step. Each pass has its own order; neighbours in length share a batch."""
    chance = random.Random(config.seed)
    wanted = max(1, math.ceil(len(examples) * config.epochs / config.batch))
    batches: list[list[int]] = []
    while len(batches) < wanted:
        order = list(range(len(examples)))
        chance.shuffle(order)
        order.sort(key=lambda i: len(examples[i].ids) // 4)  # stable: within a length the order stays random
        several = [order[i : i + config.batch] for i in range(0, len(order), config.batch)]
        chance.shuffle(several)
        batches += several
    return batches[:wanted]


def wrap(config: LoraSft, base: Path) -> Any:
    """The base model with a fresh adapter on every linear layer; only the adapter learns."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=0.0,
        target_modules=list(LINEAR_LAYERS),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, lora, autocast_adapter_dtype=True)


@dataclass(frozen=True, slots=True)
class Words:
    """The rows of the output layer that the loss looks at, and where each token id lies among them (-1: nowhere)."""

    weight: torch.Tensor
    index: torch.Tensor


def output_words(config: LoraSft, model: Any, examples: Sequence[Tokens]) -> Words:
    """The most frequent tokens of the vocabulary (low ids) and all that occur in the examples."""
    weight = model.get_base_model().lm_head.weight.detach()
    ids = {token for example in examples for token in example.ids} | set(range(min(config.vocabulary, len(weight))))
    kept = torch.tensor(sorted(ids))
    index = torch.full((len(weight),), -1)
    index[kept] = torch.arange(len(kept))
    return Words(weight[kept], index)


def batch_loss(model: Any, words: Words, batch: Sequence[Tokens]) -> torch.Tensor:
    """Mean cross-entropy (nats) of the completion tokens of one batch."""
    width = max(len(e.ids) for e in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    rows: list[int] = []
    columns: list[int] = []
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        mask[row, : len(example.ids)] = 1
        positions = range(example.start, len(example.ids))
        rows += [row] * len(positions)
        columns += positions
    causal = model.get_base_model()
    hidden = causal.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    before = torch.tensor(columns) - 1  # the state at one position predicts the token at the next
    logits = hidden[rows, before] @ words.weight.t()
    return functional.cross_entropy(logits.float(), words.index[ids[rows, columns]])


def learning_rate(config: LoraSft, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine that reaches zero at the end."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, steps - config.warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def adapter_weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in get_peft_model_state_dict(model).items()}


def save_checkpoint(work: Path, model: Any, optimiser: torch.optim.Optimizer, losses: Sequence[float]) -> None:
    """Replace the checkpoint atomically: adapter, optimiser and losses (their number is the position in the data)."""
    state = {f"weight/{name}": tensor for name, tensor in adapter_weights(model).items()}
    for index, values in optimiser.state_dict()["state"].items():
        state |= {f"optimiser/{index}/{name}": value for name, value in values.items()}
    state["losses"] = torch.tensor(losses, dtype=torch.float64)
    temporary = work / ".checkpoint.safetensors"
    save_file(state, temporary)
    temporary.replace(work / "checkpoint.safetensors")


def resume(work: Path, model: Any, optimiser: torch.optim.Optimizer) -> list[float]:
    """Load the checkpoint in `work`, if any, and return the losses of the steps that are done."""
    path = work / "checkpoint.safetensors"
    if not path.exists():
        return []
    state = load_file(path)
    losses: list[float] = state.pop("losses").tolist()
    weights = {name.removeprefix("weight/"): t for name, t in state.items() if name.startswith("weight/")}
    set_peft_model_state_dict(model, weights)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in state.items():
        if name.startswith("optimiser/"):
            _, index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    return losses
