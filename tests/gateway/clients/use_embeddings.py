"""/v1/embeddings through OpenAI's client and LangChain."""

import json
import os
from typing import Any

from langchain_openai import OpenAIEmbeddings
from openai import OpenAI

URL, KEY = os.environ["NORIA_URL"] + "/v1", os.environ["NORIA_KEY"]


def plain() -> list[float]:
    client = OpenAI(base_url=URL, api_key=KEY)
    answer = client.embeddings.create(model="embedder", input="hello there")
    return answer.data[0].embedding


def main() -> dict[str, Any]:
    client = OpenAI(base_url=URL, api_key=KEY)
    several = client.embeddings.create(model="embedder", input=["a", "b", "c"], encoding_format="float")
    tokens = client.embeddings.create(model="embedder", input=[[1, 2], [3]], dimensions=2)
    chain = OpenAIEmbeddings(
        base_url=URL,
        api_key=KEY,
        model="embedder",
        check_embedding_ctx_length=False,
    )
    return {
        "plain": plain(),
        "several": [item.embedding for item in several.data],
        "tokens": several.usage.total_tokens,
        "token ids": [item.embedding for item in tokens.data],
        "langchain": chain.embed_documents(["a", "b"]),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
