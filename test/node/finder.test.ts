import { beforeEach, describe, expect, test, vi } from "vitest";
import { mintSessionId } from "../../src/model/session-id.ts";
import type { Exchange } from "../../src/node/exchange.ts";
import { Finder, type FinderParts } from "../../src/node/finder.ts";
import { NodeMetrics } from "../../src/node/metrics.ts";
import { OwnerNotes } from "../../src/node/owner-notes.ts";
import { ParkedSessions } from "../../src/node/parked-sessions.ts";
import type { RelayOutcome } from "../../src/node/relay.ts";
import type { NodeRecord, SessionRecord } from "../../src/ports/registry.ts";

const home = { tag: "k3f9q2", incarnation: "one" };
const id = mintSessionId(home.tag, Buffer.alloc(18, 1));
const exchange = { method: "POST", sink: { destroyed: false } } as unknown as Exchange;

let generations: { quiet: boolean; incomplete: boolean; check(): Promise<void> };
let find: () => Promise<SessionRecord | undefined>;
let listed: NodeRecord | undefined;
/** What the looking node knows of itself, and of the owner. */
let isNewcomer: boolean;
let hasLeft: boolean;

const node: NodeRecord = {
  ...home,
  ...{ name: "home", url: "http://127.0.0.1:2", peer: "http://127.0.0.1:1", direct: true },
  ...{ state: "up", pid: 1, since: 0 },
};

beforeEach(() => {
  generations = { quiet: false, incomplete: false, check: async () => {} };
  find = async () => ({ id, owner: home, epoch: 4, createdAt: 0, peer: node.peer });
  listed = node;
  isNewcomer = hasLeft = false;
});

/** The registry comes back without its entries, which its generation tells from then on. */
function lose(): void {
  find = async () => undefined;
  listed = undefined;
  generations.check = async () => {
    generations.quiet = true;
    generations.incomplete = true;
  };
}

/** A node that knows of one other, which is up and says these things one after another. */
function finder(...outcomes: RelayOutcome[]) {
  const send = vi.fn(async (_exchange: Exchange, { tag }: { tag: string }) => {
    expect(tag).toBe(home.tag);
    return outcomes.shift() ?? "silent";
  });
  const adopt = vi.fn(async () => ({ kind: "not-now" }));
  const keeper = {
    ...{ get: () => undefined, settled: async () => true, ending: () => undefined, adopt },
    parked: new ParkedSessions(),
  };
  const parts = {
    keeper,
    notes: new OwnerNotes(),
    registry: { find: () => find(), node: async () => listed },
    nodes: { byTag: () => node, knownAs: () => undefined, hasLeft: () => hasLeft },
    relays: { canReach: () => listed !== undefined, send },
    generations,
    promises: { holds: () => false },
    ownership: {
      get isNewcomer() {
        return isNewcomer;
      },
    },
    ...{ policy: "resume", holdMs: 0, incarnation: "own", metrics: new NodeMetrics(), now: () => 0 },
  };
  return { finder: new Finder(parts as unknown as FinderParts), keeper, send, adopt };
}

const wanted = { id, body: "{}", caller: undefined };

test.each(["not-here", "refused"] as const)(
  "a node that said %s before the registry named it is asked again: it may have taken the session over since",
  async (said) => {
    const { finder: found, send, adopt } = finder(said, "answered");
    expect(await found.find(exchange, wanted)).toEqual({ kind: "relayed", to: home.tag });
    expect(send).toHaveBeenCalledTimes(2);
    expect(adopt).not.toHaveBeenCalled();
  },
);

test("one that says so after the registry named it has given the session up", async () => {
  const { finder: found, adopt } = finder("not-here", "not-here");
  await found.find(exchange, wanted);
  expect(adopt).toHaveBeenCalledWith(id, 4);
});

test("a session that waits at its gate is not said to be not here: whoever is told so adopts it", async () => {
  const { finder: found, keeper } = finder();
  keeper.settled = async () => false;
  expect(await found.findHere(exchange, wanted)).toEqual({ kind: "refused", reason: "misrouted" });
});

test("a session that the registry has just lost is not called unknown", async () => {
  lose();
  const { finder: found } = finder("silent");
  expect(await found.find(exchange, wanted)).toMatchObject({ kind: "refused", reason: "misrouted" });
});

test("a session is not adopted whose node is missing because the registry was emptied since it named it", async () => {
  const { finder: found, adopt } = finder("silent", "silent");
  const before = find;
  find = async () => {
    const record = await before();
    lose();
    return record;
  };
  expect(await found.find(exchange, wanted)).toMatchObject({ kind: "refused", reason: "misrouted" });
  expect(adopt).not.toHaveBeenCalled();
});

test("a session whose node is missing in the same generation is adopted", async () => {
  const { finder: found, adopt } = finder("silent", "silent");
  listed = undefined;
  await found.find(exchange, wanted);
  expect(adopt).toHaveBeenCalledWith(id, 4);
});

test("what the registry does not have is unknown, but not while owners may be about to write it", async () => {
  find = async () => undefined;
  const { finder: found } = finder("silent", "silent");
  expect(await found.find(exchange, wanted)).toMatchObject({ kind: "refused", reason: "unknown" });
  generations.incomplete = true;
  expect(await found.find(exchange, wanted)).toMatchObject({ kind: "refused", reason: "misrouted" });
});

test("that the registry was away a moment ago keeps nobody from adopting what it does have", async () => {
  const { finder: found, adopt } = finder("not-here", "not-here");
  generations.incomplete = true;
  await found.find(exchange, wanted);
  expect(adopt).toHaveBeenCalledWith(id, 4);
});

describe("a session whose owner's lease is over", () => {
  const elsewhere = "http://10.0.0.1:1";
  beforeEach(() => {
    listed = undefined;
  });

  test.each<[string, RelayOutcome, string, adopts: boolean]>([
    ["is silent: it may live by promises that this node was not asked for", "silent", elsewhere, false],
    ["refuses connections at an address that may be a proxy's", "refused", elsewhere, false],
    ["refuses connections at an address that it bound itself", "refused", "http://127.0.0.1:1", true],
    ["does not hold it any more", "not-here", elsewhere, true],
  ])("is adopted by a newcomer only for certain. Its owner %s", async (_name, said, peer, adopts) => {
    isNewcomer = true;
    find = async () => ({ id, owner: home, epoch: 4, createdAt: 0, peer });
    const { finder: found, adopt } = finder(said);
    await found.find(exchange, wanted);
    expect(adopt.mock.calls).toEqual(adopts ? [[id, 4]] : []);
  });

  test("is adopted by a newcomer when the owner has left, or its name has another start", async () => {
    isNewcomer = hasLeft = true;
    const { finder: found, send, adopt } = finder();
    await found.find(exchange, wanted);
    hasLeft = false;
    listed = { ...node, incarnation: "two" };
    await found.find(exchange, wanted);
    expect(adopt).toHaveBeenCalledTimes(2);
    // It is passed to the node of that name, as its home, and not to what is gone.
    expect(send).toHaveBeenCalledTimes(1);
  });

  test("is adopted from a silent one by a node that has been a member for a lease", async () => {
    const { finder: found, adopt } = finder("silent");
    await found.find(exchange, wanted);
    expect(adopt).toHaveBeenCalledWith(id, 4);
  });
});
