import { appendFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type CallToolResult, McpServer } from "@modelcontextprotocol/server";
import type { SessionContext } from "mooring";
import { announcements } from "./announcements.ts";
import { registerClock } from "./clock.ts";
import { tools } from "./schemas.ts";

/** Structured content, with the same as text for clients that read only text. */
export function answer(structuredContent: Record<string, unknown>): CallToolResult {
  return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
}

function failure(text: string): CallToolResult {
  return { isError: true, content: [{ type: "text", text }] };
}

/** What differs between versions of the yardstick. */
export interface Edition {
  readonly version: string;
  /** Adds one to the session's counter, and gives what it is then. */
  count(): number;
}

/** The server that tests, benchmarks and `mooring doctor` measure with: each tool shows one thing about a session. */
export function yardstick(session: SessionContext, { version, count }: Edition): McpServer {
  const server = new McpServer(
    { name: "yardstick", version },
    { capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } } },
  );
  const node = session.node.name;
  const announce = announcements(session, (n) =>
    server.sendLoggingMessage({ level: "info", logger: "yardstick", data: { n } }, session.id),
  );

  server.registerTool("echo", tools.echo, async ({ text }) => answer({ text }));

  server.registerTool("where", tools.where, async () =>
    answer({ node, pid: process.pid, session: session.id, epoch: session.epoch }),
  );

  server.registerTool("count", tools.count, async () => answer({ value: count(), node }));

  server.registerTool("append", tools.append, async ({ line }) => {
    const file = process.env.YARDSTICK_LOG;
    if (!file) {
      return failure("append has no file to write to. Start the node with YARDSTICK_LOG set to a file's path.");
    }
    await appendFile(file, `${line}\n`);
    // The line is written whatever becomes of the caller, so the wait doesn't end with it.
    await sleep(50);
    return answer({ node });
  });

  server.registerTool("sleep", tools.sleep, async ({ ms, steps }, { mcpReq }) => {
    const started = performance.now();
    const until = (elapsed: number) =>
      sleep(Math.max(0, started + elapsed - performance.now()), undefined, { signal: mcpReq.signal });
    const progressToken = mcpReq._meta?.progressToken;
    for (let step = 1; step <= steps; step += 1) {
      await until((ms * step) / steps);
      if (progressToken !== undefined) {
        const params = { progressToken, progress: step, total: steps };
        await mcpReq.notify({ method: "notifications/progress", params });
      }
    }
    await until(ms);
    return answer({ node });
  });

  server.registerTool("announce", tools.announce, async ({ count, everyMs }) => {
    announce(count, everyMs);
    return answer({ count, everyMs, node });
  });

  server.registerTool("ask", tools.ask, async ({ question }, { mcpReq }) => {
    const reply = await mcpReq.elicitInput(
      {
        message: question,
        requestedSchema: { type: "object", properties: { answer: { type: "string" } }, required: ["answer"] },
      },
      // On the calling stream: a client without a standalone stream can be asked too.
      { relatedRequestId: mcpReq.id },
    );
    if (reply.action !== "accept") return failure(`No answer: the client chose to ${reply.action}.`);
    return answer({ answer: String(reply.content?.answer) });
  });

  server.registerTool("big", tools.big, async ({ bytes }) => {
    const text = "x".repeat(bytes);
    return { content: [{ type: "text", text }], structuredContent: { text } };
  });

  registerClock(server, session);
  return server;
}
