"""What lm-eval makes of Noria."""

from tests.gateway.clients.conftest import See
from tests.gateway.conftest import Running


def test_local_chat_completions(see: See, gateway: Running) -> None:
    assert see("use_lm_eval.py")["exact_match,none"] == 1.0
    body = gateway.calls("assistant")["seen"]["body"]
    assert body["stop"] == ["\n"]
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (20, 0.5, 1234)
