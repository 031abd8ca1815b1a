import { isMiss } from "../seen.ts";
import { insist, type PostAnswer, type Session } from "../session.ts";

/** The tools of the yardstick example that the doctor measures with. */
const measuring = ["where", "sleep", "announce"];

/** Whether the server is yardstick. Another server's tools are never called: nobody knows what they do. */
export function isYardstick(session: Session, tools: PostAnswer | undefined): boolean {
  if (session.serverInfo.name !== "yardstick" || tools?.kind !== "answer") return false;
  const listed = tools.message?.result?.tools;
  const names = Array.isArray(listed) ? listed.map((tool: { name?: unknown }) => tool.name) : [];
  return measuring.every((name) => names.includes(name));
}

/** A request of a session, sent again where a node without the session got it. */
export function insisted(send: () => Promise<PostAnswer>): Promise<PostAnswer> {
  return insist(send, isMiss);
}
