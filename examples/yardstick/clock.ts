import type { McpServer } from "@modelcontextprotocol/server";
import type { SessionContext } from "mooring";

const uri = "yardstick://clock";

/** The resource `yardstick://clock`: the time, to the second; who subscribes is told each second. */
export function registerClock(server: McpServer, session: SessionContext): void {
  server.registerResource(
    "clock",
    uri,
    { description: "The node's time; changes each second", mimeType: "text/plain" },
    async () => ({
      contents: [{ uri, mimeType: "text/plain", text: `${new Date().toISOString().slice(0, 19)}Z` }],
    }),
  );

  let ticking: NodeJS.Timeout | undefined;
  function stop(): void {
    clearInterval(ticking);
    ticking = undefined;
  }
  function tick(): void {
    // Fails only when the session has just ended, and then its signal stops the clock.
    server.server.sendResourceUpdated({ uri }).catch(() => {});
  }

  server.server.setRequestHandler("resources/subscribe", async (request) => {
    if (request.params.uri === uri && !session.signal.aborted) ticking ??= setInterval(tick, 1_000);
    return {};
  });
  server.server.setRequestHandler("resources/unsubscribe", async (request) => {
    if (request.params.uri === uri) stop();
    return {};
  });
  session.signal.addEventListener("abort", stop);
}
