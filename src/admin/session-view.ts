import type { Session } from "../session/session.ts";
import type { SessionView } from "./target.ts";

/** A session as operators see it. `node`: the name of the node that it lives on. */
export function sessionView(session: Session, node: string): SessionView {
  const { id, home, epoch, createdAt, lastSeenAt, client, principal, pinned, transport } = session;
  return {
    id,
    node,
    home,
    epoch,
    createdAt,
    lastSeenAt,
    client,
    protocolVersion: transport.protocolVersion ?? null,
    streams: transport.streams,
    inFlight: transport.inFlight,
    principal: principal === undefined ? null : `${principal.subject}@${principal.issuer}`,
    ...(pinned !== undefined && { pinned }),
  };
}
