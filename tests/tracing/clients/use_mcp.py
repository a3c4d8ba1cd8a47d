"""The official client of the Model Context Protocol: connects as an assistant does, lists the tools and calls some."""

import asyncio
import json
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main() -> None:
    headers = {"authorization": f"Bearer {os.environ['NORIA_KEY']}"}
    http = httpx2.AsyncClient(headers=headers)
    transport = streamable_http_client(f"{os.environ['NORIA_URL']}/mcp", http_client=http)
    async with http, Client(transport) as client:
        listed = await client.list_tools()
        found = await client.call_tool("search_traces", {"q": "refund"})
        traces = json.loads(found.content[-1].text)["traces"]
        read = await client.call_tool("get_trace", {"trace_id": traces[0]["trace_id"]})
        wrong = await client.call_tool("search_traces", {"q": "colour:red"})
        seen = {
            "server": client.server_info.name,
            "tools": sorted(tool.name for tool in listed.tools),
            "found": len(traces),
            "answer": json.loads(read.content[-1].text)["spans"][0]["output_messages"],
            "wrong": [wrong.is_error, wrong.content[0].text],
        }
    print(json.dumps(seen))


asyncio.run(main())
