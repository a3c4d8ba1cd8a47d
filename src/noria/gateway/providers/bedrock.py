"""AWS Bedrock: the Converse dialect, signed with SigV4 or sent with a Bedrock API key, streamed as AWS's binary events.

A key is "access key id:secret access key[:session token]", or a Bedrock API key, which is sent as a Bearer. Sources:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, /userguide/api-keys-use.html and the service
model of the AWS SDKs (read November 2026). Models of OpenAI take their effort as a field of their own.
"""

from collections.abc import Mapping
from typing import Any, Final

from yarl import URL

from noria.core import clock
from noria.gateway.providers import base
from noria.gateway.providers.base import Call, Events, Flags, Refusal
from noria.gateway.providers.events import AwsEvents
from noria.gateway.providers.sigv4 import Credentials, signature
from noria.registry.snapshot import ProviderEntry

_SERVICE: Final = "bedrock"
_STREAM: Final = "application/vnd.amazon.eventstream"


class Bedrock:
    """The runtime of Bedrock in one region."""

    flags = Flags(speaks=("converse",), several=False, logprobs=False, seed=False)

    def spoken(self, provider: ProviderEntry) -> tuple[str, ...]:
        return base.spoken(self.flags, provider)

    def url(self, call: Call) -> URL:
        verb = "converse-stream" if call.stream else "converse"
        return base.address(f"{call.base.rstrip('/')}/model/{base.segment(call.model)}/{verb}")

    def headers(self, call: Call, key: str, url: URL, body: bytes) -> dict[str, str]:
        found = {**base.common_headers(call), "Accept": _STREAM if call.stream else "application/json"}
        if not key:
            return found
        access, _, rest = key.partition(":")
        if not rest:
            return {**found, "Authorization": f"Bearer {key}"}
        secret, _, token = rest.partition(":")
        signed = signature(
            "POST",
            url,
            {"content-type": found["Content-Type"]},
            body,
            Credentials(access, secret, token),
            region=str(call.provider.options.get("region") or ""),
            service=_SERVICE,
            now=clock.now(),
        )
        return {**found, **signed}

    def body(self, call: Call, fields: dict[str, Any]) -> bytes:
        return base.encoded(_fitted(call.model, fields))

    def events(self, call: Call) -> Events:
        return AwsEvents()

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """{"message"} or {"Message"}; the kind of error stands in a header, sometimes with an address behind it."""
        answer = base.error_json(body)
        kind = headers.get("x-amzn-ErrorType") or base.text_of(answer.get("__type"))
        code = kind.partition(":")[0].rpartition("#")[2].strip()
        return Refusal(
            base.text_of(answer.get("message") or answer.get("Message")),
            code=base.word(code),
            retry_after=base.retry_after(headers),
            key_refused=status in {401, 403},
        )


def _fitted(model: str, fields: dict[str, Any]) -> dict[str, Any]:
    config = fields.get("outputConfig")
    if "openai.gpt" not in model or not isinstance(config, dict) or "effort" not in config:
        return fields
    more = fields.get("additionalModelRequestFields")
    rest = {name: value for name, value in config.items() if name != "effort"}
    told = {name: value for name, value in fields.items() if name != "outputConfig"}
    told["additionalModelRequestFields"] = {
        "reasoning_effort": config["effort"],
        **(more if isinstance(more, dict) else {}),
    }
    return {**told, "outputConfig": rest} if rest else told
