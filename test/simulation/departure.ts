import { nextDrainStep } from "../../src/model/drain.ts";
import type { Copy } from "./copy.ts";
import type { Refusals } from "./moves.ts";
import type { Work } from "./process.ts";
import type { SimNode } from "./sim-node.ts";
import { times, type World } from "./world.ts";

/** Where a session is to go, and within what time. */
interface Journey {
  /** The next node to offer it to, after some did not take it. */
  readonly next: (refusedBy: Refusals) => string | undefined;
  /** When it began, by the node's clock, and for how long calls are waited for. */
  readonly beganAt: number;
  readonly deadlineMs: number;
  readonly comesHome: boolean;
  /** Whether it is off: then the session stays. */
  readonly isOff: () => boolean;
}

/** Whether it left, or ended; or who did not take it. */
export type Departed = { readonly kind: "left" } | { readonly kind: "stayed"; readonly refusedBy: Refusals };

const nobody: Refusals = new Map();

/** Leads one session out of its node, in a moment that hurts nobody, or at the deadline. */
export function* depart(world: World, node: SimNode, copy: Copy, journey: Journey): Work<Departed> {
  const { next, beganAt, deadlineMs, comesHome } = journey;
  const { observer } = world;
  const gate = node.moves.gateOf(copy.id);
  for (;;) {
    const now = node.clock.read().monotonic;
    if (copy.gone !== undefined || journey.isOff()) {
      gate.open(now);
      return copy.gone === undefined ? { kind: "stayed", refusedBy: nobody } : { kind: "left" };
    }
    const step = nextDrainStep(
      {
        callsInFlight: copy.calls.size,
        gate: gate.seen(now),
        isPinned: copy.isPinned,
        isRegistryThere: node.hasRegistry && !node.generations.isRestoring,
      },
      { sinceMs: now - beganAt, deadlineMs, holdMs: times.hold },
    );
    switch (step.kind) {
      case "move":
      case "cut": {
        const isCut = step.kind === "cut";
        if (isCut) observer.counts.cut += 1;
        const moved = yield* node.moves.handOver(copy, { next, isCut, comesHome });
        if (moved.kind === "stayed") return moved;
        if (moved.kind !== "not-yet") return { kind: "left" };
        yield* node.sleep(100);
        break;
      }
      case "wait":
        gate.open(now);
        yield* node.sleep(step.for === "calls" ? 50 : 200);
        break;
      case "hold":
        gate.close("calls", now);
        yield* node.sleep(20);
        break;
      case "end":
        node.owning.endPinned(copy);
        gate.open(now);
        return { kind: "left" };
    }
  }
}
