import type { Answer } from "./backends.ts";

/** Streams of a backend whose events leave one by one. */
export interface PacedStream {
  readonly answer: Answer;
  /** How many of its streams are open. */
  open(): number;
}

/** Each event leaves only when the client has said, by a request to `/mcp/next`, that it got the one before. */
export function pacedStream(): PacedStream {
  let next: () => void = () => {};
  let open = 0;
  return {
    answer: (incoming, response) => {
      if (incoming.url === "/mcp/next") {
        next();
        response.end();
        return;
      }
      open += 1;
      response.on("close", () => {
        open -= 1;
      });
      let sent = 0;
      next = () => void response.write(`data: ${++sent}\n\n`);
      response.writeHead(200, { "content-type": "text/event-stream" });
      next();
    },
    open: () => open,
  };
}
