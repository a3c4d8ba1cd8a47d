"""The gateway's OpenAPI document, for clients that are generated and for fuzzers.

In: the paths that this gateway serves. Out: JSON. The decision to know: only what the gateway itself reads is described;
other fields pass through to the provider, so no object is closed to them. Made when it is asked for, never kept.
"""

from collections.abc import Collection
from typing import Any

import orjson

Json = dict[str, Any]

_WORDS = {
    400: "The request says something that cannot be used.",
    401: "No key was sent, or one that is not valid (any more).",
    402: "A budget is used up.",
    403: "The key may not call this.",
    404: "There is no such endpoint or path.",
    405: "The path is called by another method.",
    408: "The request did not arrive in time.",
    413: "The request's body is too large.",
    429: "A limit is reached; retry-after says when to try again.",
    431: "The request's headers are too large.",
    502: "The provider failed.",
    503: "Not ready now; retry-after says when to try again.",
    504: "The provider was too slow.",
}
_TEXT: Json = {"type": ["string", "null"]}
_FLAG: Json = {"type": ["boolean", "null"]}
_LIST: Json = {"type": ["array", "null"]}
_OBJECT: Json = {"type": ["object", "null"]}
_NUMBER: Json = {"type": ["number", "null"]}
_WHOLE: Json = {"type": ["integer", "null"], "minimum": -(2**63), "maximum": 2**64 - 1}
_ONE_TEXT: Json = {"type": "string", "minLength": 1}
_SOME: Json = {"type": "array", "minItems": 1, "maxItems": 2048}
_TOKENS: Json = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}
_CHOICE: Json = {"type": ["string", "object", "null"]}


def _ref(name: str, kind: str = "schemas") -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _object(required: str, **properties: Json) -> Json:
    return {"type": "object", "required": required.split(), "properties": properties}


_MESSAGES: Json = {"type": "array", "minItems": 1, "items": _ref("Message")}
_SHARED: dict[str, Json] = {
    "model": {"type": "string", "minLength": 1, "description": "The name of an endpoint."},
    "noria": _ref("Noria"),
    "stream": _FLAG,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "tools": _LIST,
    "metadata": _OBJECT,
}
_OPENAI: dict[str, Json] = {
    **_SHARED,
    "stream_options": _OBJECT,
    "max_tokens": _WHOLE,
    "n": _WHOLE,
    "seed": _WHOLE,
    "stop": {"type": ["string", "array", "null"]},
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "logit_bias": _OBJECT,
    "logprobs": {"type": ["boolean", "integer", "null"], "minimum": -(2**63), "maximum": 2**64 - 1},
    "response_format": _OBJECT,
    "user": _TEXT,
}
_CHAT: dict[str, Json] = {
    **_OPENAI,
    "messages": _MESSAGES,
    "max_completion_tokens": _WHOLE,
    "top_logprobs": _WHOLE,
    "tool_choice": _CHOICE,
    "parallel_tool_calls": _FLAG,
    "reasoning_effort": _TEXT,
    "service_tier": _TEXT,
    "store": _FLAG,
    "modalities": _LIST,
}
_SHARE: Json = {**_NUMBER, "minimum": 0, "maximum": 1}
_ANTHROPIC: dict[str, Json] = {
    **_SHARED,
    "messages": {"type": "array", "minItems": 1, "items": _ref("Turn")},
    "system": {"type": ["string", "null"]},
    "temperature": _SHARE,
    "top_p": _SHARE,
    "top_k": _WHOLE,
    "stop_sequences": {**_LIST, "items": {"type": "string"}},
    "tools": {**_LIST, "items": _object("name input_schema", name={"type": "string"}, input_schema={"type": "object"})},
}
_RESPONSE: dict[str, Json] = {
    **_SHARED,
    "tools": {**_LIST, "items": _object("type name", type={"const": "function"}, name={"type": "string"})},
    "input": {"anyOf": [_ONE_TEXT, {**_SOME, "items": _ref("Turn")}]},
    "instructions": _TEXT,
    "max_output_tokens": _WHOLE,
    "tool_choice": _CHOICE,
    "parallel_tool_calls": _FLAG,
    "previous_response_id": _TEXT,
    "store": _FLAG,
    "user": _TEXT,
}
_ERROR = _object(
    "message type param code", message={"type": "string"}, type={"type": "string"}, param=_TEXT, code=_TEXT
)
_ITEMS: Json = {"type": "array", "items": {"type": "object"}}

_SCHEMAS: dict[str, Json] = {
    "Noria": {
        "type": ["object", "null"],
        "description": "Noria's own field, which no provider sees.",
        "properties": {"variables": _OBJECT, "session": _TEXT, "user": _TEXT, "tags": _LIST},
    },
    "Message": _object("role", role={"type": "string"}, content={"type": ["string", "array", "null"]}),
    "Turn": _object(
        "role content",
        role={"enum": ["user", "assistant"]},
        content={
            "type": ["string", "array"],
            "items": _object("type text", type={"const": "text"}, text={"type": "string"}),
        },
    ),
    "ChatRequest": _object("model messages", **_CHAT),
    "TextRequest": _object("model prompt", **_OPENAI, prompt={"type": ["string", "array"], "minItems": 1}),
    "EmbeddingRequest": _object(
        "model input",
        model=_SHARED["model"],
        input={"anyOf": [_ONE_TEXT, _TOKENS, {**_SOME, "items": _ONE_TEXT}, {**_SOME, "items": _TOKENS}]},
        encoding_format={"enum": ["float", "base64", None]},
        dimensions={**_WHOLE, "minimum": 1},
        user=_TEXT,
    ),
    "ResponseRequest": _object("model input", **_RESPONSE),
    "MessagesRequest": _object(
        "model messages max_tokens", **_ANTHROPIC, max_tokens={"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
    ),
    "CountRequest": _object("model messages", **_ANTHROPIC),
    "Completion": _object("choices", choices=_ITEMS, usage=_OBJECT),
    "EmbeddingList": _object("data", data=_ITEMS, usage=_OBJECT),
    "Response": _object("id output", id={"type": "string"}, output=_ITEMS, usage=_OBJECT),
    "Deleted": _object("id deleted", id={"type": "string"}, deleted={"const": True}),
    "MessagesAnswer": _object("type role content", type={"const": "message"}, content=_ITEMS, usage=_OBJECT),
    "TokenCount": _object("input_tokens", input_tokens={"type": "integer"}),
    "Model": _object("id object", id={"type": "string"}, object={"const": "model"}),
    "ModelList": _object("data", data={"type": "array", "items": _ref("Model")}),
    "Health": _object("status", status={"type": "string"}),
    "Error": _object("error", error=_ERROR),
    "AnthropicError": _object(
        "type error",
        type={"const": "error"},
        error=_object("type message", type={"type": "string"}, message={"type": "string"}),
    ),
}
_HEADERS = {
    "x-noria-session": "The conversation that this request belongs to.",
    "x-noria-user": "The person behind it.",
    "x-noria-tags": "Tags of its span, separated by commas.",
    "traceparent": "W3C trace context; the span joins that trace.",
}


def _answers(schema: str, error: str, codes: Collection[int], *, kind: str = "application/json") -> Json:
    content: Json = {kind: {"schema": _ref(schema)}}
    return {"200": {"description": "The answer.", "content": content}} | {
        str(code): _ref(f"{error}{code}", "responses") for code in codes
    }


def _call(name: str, summary: str, request: str, answer: str, *, error: str = "Error", stream: bool = True) -> Json:
    answers = _answers(answer, error, _WORDS)
    if stream:
        answers["200"]["content"]["text/event-stream"] = {}
    operation: Json = {
        "operationId": name,
        "summary": summary,
        "parameters": [_ref(header, "parameters") for header in _HEADERS],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(request)}}},
        "responses": answers,
    }
    if error == "AnthropicError":
        operation["security"] = [{"key": []}, {"x-api-key": []}]
    return {"post": operation}


def _read(name: str, summary: str, answer: str, *, of: str = "", public: bool = False) -> Json:
    codes = (405, 431, 503) if public else (401, 403, 404, 405, 431, 503)
    operation: Json = {"operationId": name, "summary": summary, "responses": _answers(answer, "Error", codes)}
    if of:
        schema = {"type": "string", "minLength": 1}
        operation["parameters"] = [{"name": of, "in": "path", "required": True, "schema": schema}]
    if public:
        operation["security"] = []
    return operation


_PATHS: dict[str, Json] = {
    "/v1/chat/completions": _call("chat", "Answer a conversation (OpenAI).", "ChatRequest", "Completion"),
    "/v1/completions": _call("completions", "Continue a text (OpenAI).", "TextRequest", "Completion"),
    "/v1/embeddings": _call("embeddings", "Embed texts (OpenAI).", "EmbeddingRequest", "EmbeddingList", stream=False),
    "/v1/responses": _call("responses", "Answer, and keep the answer (OpenAI).", "ResponseRequest", "Response"),
    "/v1/responses/{response_id}": {
        "get": _read("response", "A kept response (OpenAI).", "Response", of="response_id"),
        "delete": _read("delete_response", "Forget a response (OpenAI).", "Deleted", of="response_id"),
    },
    "/v1/messages": _call(
        "messages", "Answer a conversation (Anthropic).", "MessagesRequest", "MessagesAnswer", error="AnthropicError"
    ),
    "/v1/messages/count_tokens": _call(
        "count", "Count tokens (Anthropic).", "CountRequest", "TokenCount", error="AnthropicError", stream=False
    ),
    "/v1/models": {"get": _read("models", "The endpoints that this key can call.", "ModelList")},
    "/v1/models/{model}": {"get": _read("model", "One endpoint; its name may hold slashes.", "Model", of="model")},
    "/healthz": {"get": _read("healthz", "The process lives.", "Health", public=True)},
    "/readyz": {"get": _read("readyz", "The process can answer requests.", "Health", public=True)},
}


def described(paths: Collection[str]) -> set[str]:
    """Which of these paths the document tells; `/a/{b}` belongs to `/a`."""
    return {path.partition("/{")[0] for path in _PATHS} & set(paths)


def document(paths: Collection[str]) -> bytes:
    """The document of a gateway that serves these paths."""
    responses: Json = {
        f"{error}{code}": {"description": words, "content": {"application/json": {"schema": _ref(error)}}}
        for code, words in _WORDS.items()
        for error in ("Error", "AnthropicError")
    }
    responses["AnthropicError431"] = _ref("Error431", "responses")  # refused before the path is known
    parameters: Json = {
        name: {"name": name, "in": "header", "schema": {"type": "string"}, "description": words}
        for name, words in _HEADERS.items()
    }
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Noria gateway",
                "version": "1",
                "description": "Fields that are not listed pass through to the provider.",
            },
            "security": [{"key": []}],
            "paths": {path: item for path, item in _PATHS.items() if path.partition("/{")[0] in paths},
            "components": {
                "securitySchemes": {
                    "key": {"type": "http", "scheme": "bearer"},
                    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                },
                "parameters": parameters,
                "schemas": _SCHEMAS,
                "responses": responses,
            },
        }
    )
