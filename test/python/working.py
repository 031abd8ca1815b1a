"""Works in sessions as the Python SDK does, and tells each call. Works with mcp 1.x and 2.x, whose clients it uses as
they are.

Argument: the MCP URL. Takes commands from stdin, one JSON object a line:
  {"do": "open", "name": NAME, "tool": "count" | "sleep" | "append", "announce": BOOL}
      begins a session that calls this tool again and again; `announce`: and has numbers announced to it
  {"do": "call", "name": NAME, "tool": TOOL}   that session calls a tool without arguments, beside its other calls
  {"do": "rest"}   each session ends the call that it is in, and begins no other
  {"do": "work"}   they go on
  {"do": "close"}  all sessions end, as their clients end them
The end of stdin ends the program.

Tells on stdout, one JSON object a line, each with `name`, and `at` in milliseconds since 1970:
  opened {session}      a session has begun
  began                 a call was sent
  ended {sentAt, result} or {sentAt, error}, with {unsure: true} when its answer was an error of the tool
  heard {n}             a number that was announced
  tools-changed         it was told that the tools have changed
  called {result, tools} what the call beside the others gave, and the names of all tools then
  client-ended {error}  the SDK's client is over, by an error that it raised itself; a new one goes on with the session
  given-up              the same again and again
  closed                all sessions have ended; without a name
"""

import asyncio
import contextlib
import json
import sys
import time

try:
    import httpx2 as httpx
except ImportError:
    import httpx

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

PAUSE_S = {"count": 0.2, "sleep": 0, "append": 0.02}
MOST_CLIENTS = 10

working = asyncio.Event()


def now() -> float:
    return time.time() * 1000


def tell(event: str, name: str = "", **facts) -> None:
    print(json.dumps({"event": event, "name": name, "at": now(), **facts}), flush=True)


def said(error: BaseException) -> str:
    """The error itself, which the SDK raises as a group of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


class Worker:
    def __init__(self, url: str, name: str, tool: str, announce: bool) -> None:
        self.url = url
        self.name = name
        self.tool = tool
        self.announce = announce
        self.session_id: str | None = None
        self.calls = 0
        self.sent_at: float | None = None
        self.closing = False
        self.session: ClientSession | None = None

    async def run(self) -> None:
        for _ in range(MOST_CLIENTS):
            try:
                async with self.client() as session:
                    if self.session_id is None:
                        await self.begin(session)
                    await self.work(session)
                return
            except Exception as error:
                self.call_ended(error=said(error))
                tell("client-ended", self.name, error=said(error))
        tell("given-up", self.name)

    @contextlib.asynccontextmanager
    async def client(self):
        """A client of the SDK: of a session that begins, or of one that a client before it had begun."""
        async with contextlib.AsyncExitStack() as stack:
            http = None
            if self.session_id is not None:
                # Neither version has a call for this. The HTTP client is the caller's own, and can carry the headers.
                headers = {"mcp-session-id": self.session_id, "mcp-protocol-version": "2025-11-25"}
                http = await stack.enter_async_context(httpx.AsyncClient(headers=headers, timeout=30))
            streams = await stack.enter_async_context(streamable_http_client(self.url, http_client=http))
            session = ClientSession(
                streams[0], streams[1], logging_callback=self.heard, message_handler=self.told
            )
            self.session = await stack.enter_async_context(session)
            yield self.session

    async def begin(self, session: ClientSession) -> None:
        await session.initialize()
        await session.list_tools()
        self.session_id = self.content(await session.call_tool("where", {}))["session"]
        if self.announce:
            await session.call_tool("announce", {"count": 100_000, "everyMs": 200})
        tell("opened", self.name, session=self.session_id)

    async def work(self, session: ClientSession) -> None:
        while not self.closing:
            await working.wait()
            self.calls += 1
            self.sent_at = now()
            tell("began", self.name)
            try:
                result = await session.call_tool(self.tool, self.arguments())
            except Exception as error:
                self.call_ended(error=said(error))
            else:
                if getattr(result, "is_error", False) or getattr(result, "isError", False):
                    self.call_ended(error=result.content[0].text, unsure=True)
                else:
                    self.call_ended(result=self.content(result))
            await asyncio.sleep(PAUSE_S[self.tool])

    async def call_beside(self, tool: str) -> None:
        tools = [each.name for each in (await self.session.list_tools()).tools]
        result = self.content(await self.session.call_tool(tool, {}))
        tell("called", self.name, result=result, tools=tools)

    def call_ended(self, **how) -> None:
        if self.sent_at is not None:
            tell("ended", self.name, sentAt=self.sent_at, **how)
        self.sent_at = None

    def arguments(self) -> dict:
        if self.tool == "append":
            return {"line": f"{self.name}:{self.calls}"}
        return {"ms": 1500, "steps": 3} if self.tool == "sleep" else {}

    async def heard(self, params) -> None:
        tell("heard", self.name, n=params.data["n"])

    async def told(self, message) -> None:
        # 1.x wraps what 2.x gives as it is.
        if getattr(getattr(message, "root", message), "method", "") == "notifications/tools/list_changed":
            tell("tools-changed", self.name)

    @staticmethod
    def content(result) -> dict:
        return getattr(result, "structured_content", None) or result.structuredContent


async def main(url: str) -> None:
    working.set()
    workers: list[Worker] = []
    runs: list[asyncio.Task] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        match command["do"]:
            case "open":
                workers.append(Worker(url, command["name"], command["tool"], command["announce"]))
                runs.append(asyncio.create_task(workers[-1].run()))
            case "call":
                worker = next(each for each in workers if each.name == command["name"])
                runs.append(asyncio.create_task(worker.call_beside(command["tool"])))
            case "rest":
                working.clear()
            case "work":
                working.set()
            case "close":
                for worker in workers:
                    worker.closing = True
                working.set()
                await asyncio.gather(*runs)
                workers.clear()
                runs.clear()
                tell("closed")


asyncio.run(main(sys.argv[1]))
