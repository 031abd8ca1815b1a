import type { HoldBack } from "./hold-back.ts";
import type { KeepAlive } from "./keep-alive.ts";
import type { Keeping } from "./keeping.ts";
import type { EventRing } from "./retained-events.ts";
import type { SessionState } from "./state.ts";
import type { StopReason } from "./task-stopped.ts";

/** Why a node's copy of a session ends. */
export type EndReason = Exclude<StopReason, "stopped">;

export interface TransportOptions {
  readonly sessionId: string;
  /** Counts changes of owner, from 1. */
  readonly epoch?: number;
  readonly ring: EventRing;
  readonly keepAlive: KeepAlive;
  readonly holdBack: HoldBack;
  /** Whether quick answers leave as JSON instead of server-sent events. */
  readonly answerAsJson: boolean;
  /** What the session's server keeps in session state: looked through also where nothing outlives the node. */
  readonly state?: SessionState;
  /** What outlives the node; absent where nothing does. */
  readonly keeping?: Keeping | undefined;
  now(): number;
  overflowed(stream: string): void;
}
