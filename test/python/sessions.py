"""Opens sessions as the Python SDK does, calls `where` in each, and prints which nodes answered.

Arguments: the MCP URL, how many sessions, how many calls in each. Prints one JSON array, a session an item:
the nodes that answered its calls, in order. Works with mcp 1.x and 2.x.
"""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


def nodes_of(result) -> str:
    content = getattr(result, "structured_content", None) or getattr(result, "structuredContent", None)
    return content["node"]


async def one_session(url: str, calls: int) -> list[str]:
    async with streamable_http_client(url) as streams:
        async with ClientSession(streams[0], streams[1]) as session:
            await session.initialize()
            return [nodes_of(await session.call_tool("where", {})) for _ in range(calls)]


async def main(url: str, sessions: int, calls: int) -> None:
    at_once = asyncio.Semaphore(10)

    async def bounded() -> list[str]:
        async with at_once:
            return await one_session(url, calls)

    print(json.dumps(await asyncio.gather(*(bounded() for _ in range(sessions)))))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
