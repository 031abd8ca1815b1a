import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Knowledge, type Location, locate, type PeerAnswer, type RegistryAnswer } from "../../src/model/locate.ts";

const owner = { tag: "k3f9q2", incarnation: "one" };
const other = { tag: "m4m4m4", incarnation: "two" };
const home = owner.tag;

const up = { owner: other, epoch: 3, ownerIs: "up", ownerIsDirect: true, canRelay: true } as const;
const over = { ...up, ownerIs: "over", ownerIsDirect: false } as const;
const left = { ...up, ownerIs: "gone", ownerIsDirect: false } as const;
const self = { ...up, ownerIs: "self", ownerIsDirect: false, canRelay: false } as const;
const said = (...answers: [string, PeerAnswer][]) => new Map(answers);
const elsewhere = { local: false, policy: "resume" } as const;

const adopt: Location = { kind: "adopt", epoch: 3, owner: other };
const wait: Location = { kind: "wait", owner: other };
const gone: Location = { kind: "refuse", reason: "owner-gone", owner: other };
const misrouted: Location = { kind: "refuse", reason: "misrouted", owner: other };

const cases: readonly [name: string, known: Knowledge, goes: Location][] = [
  ["a session held here is served here", { local: true }, { kind: "here" }],
  ["one held here is served here whatever else is said", { local: true, registry: "none", home }, { kind: "here" }],
  ["the registry is asked only when this node knows nothing", elsewhere, { kind: "ask-registry" }],
  ["a closed one is refused without asking", { local: false, ended: "closed" }, { kind: "refuse", reason: "closed" }],
  ["an expired one too", { local: false, ended: "expired" }, { kind: "refuse", reason: "expired" }],
  ["one whose server ended too", { local: false, ended: "server-gone" }, { kind: "refuse", reason: "server-gone" }],
  [
    "one that ended here is looked for nowhere",
    { ...elsewhere, home, ended: "closed" },
    { kind: "refuse", reason: "closed" },
  ],
  ["nobody knows it", { ...elsewhere, registry: "none" }, { kind: "refuse", reason: "unknown" }],
  ["first to where it was found last", { ...elsewhere, note: other.tag, home }, { kind: "relay", to: other.tag }],
  ["then to its home, and the registry isn't asked", { ...elsewhere, home }, { kind: "relay", to: home }],
  ["after both said no", { ...elsewhere, home, answers: said([home, "not-here"]) }, { kind: "ask-registry" }],
  ["after its home gave no answer", { ...elsewhere, home, answers: said([home, "silent"]) }, { kind: "ask-registry" }],
  ["to the owner that the registry names", { ...elsewhere, registry: up }, { kind: "relay", to: other.tag }],
  [
    "to an owner whose lease is over, too: it may live on",
    { ...elsewhere, registry: over },
    { kind: "relay", to: other.tag },
  ],
  ["not to an owner that can't be passed requests", { ...elsewhere, registry: { ...up, canRelay: false } }, misrouted],
];

describe("where a request goes", () => {
  test.each(cases)("%s", (_name, known, goes) => {
    expect(locate(known)).toEqual(goes);
  });
});

const byOwner: readonly [name: string, registry: RegistryAnswer, answer: PeerAnswer | undefined, goes: Location][] = [
  ["it doesn't hold the session any more", up, "not-here", adopt],
  ["nobody listens at an address that it bound itself", up, "refused", adopt],
  ["nobody listens at an address behind a proxy", { ...up, ownerIsDirect: false }, "refused", wait],
  ["it is silent, and its lease holds", up, "silent", wait],
  ["it is silent, and its lease is over", over, "silent", adopt],
  ["its lease is over, and nobody can be asked", { ...over, canRelay: false }, undefined, adopt],
  ["it is this node, which gave the session up", self, undefined, adopt],
  ["it left, or another start of its node joined", left, undefined, adopt],
];

describe("a session whose owner can't serve it", () => {
  test.each(byOwner)("is adopted when that is certain: %s", (_name, registry, answer, goes) => {
    const answers = answer === undefined ? said() : said([other.tag, answer]);
    expect(locate({ ...elsewhere, registry, answers })).toEqual(goes);
  });

  test.each(byOwner)("is never adopted by the policy reject: %s", (_name, registry, answer, goes) => {
    const answers = answer === undefined ? said() : said([other.tag, answer]);
    const known = { ...elsewhere, policy: "reject" as const, registry, answers };
    expect(locate(known)).toEqual(goes.kind === "adopt" ? gone : misrouted);
  });

  test.each(byOwner)("is adopted by a newcomer only if it is proven that no promise keeps its owner: %s", (...row) => {
    const [, registry, answer, goes] = row;
    const answers = answer === undefined ? said() : said([other.tag, answer]);
    const isMerelyOver = registry === over && answer === "silent";
    const isUnasked = typeof registry === "object" && registry.ownerIs === "over" && !registry.canRelay;
    expect(locate({ ...elsewhere, registry, answers, isNewcomer: true })).toEqual(
      isMerelyOver || isUnasked ? wait : goes,
    );
  });

  test("waits for a pinned one too, as long as its owner may live", () => {
    const pinned = { ...over, pinned: "holds a socket" };
    const answers = said([other.tag, "silent"]);
    expect(locate({ ...elsewhere, registry: pinned, answers, isNewcomer: true })).toEqual(wait);
    expect(locate({ ...elsewhere, registry: pinned, answers, quiet: true })).toEqual(wait);
    expect(locate({ ...elsewhere, registry: pinned, answers })).toEqual(gone);
  });

  test("is never adopted if it is pinned", () => {
    expect(locate({ ...elsewhere, registry: { ...self, pinned: "holds a socket" } })).toEqual(gone);
  });

  test("waits while nobody may adopt", () => {
    expect(locate({ ...elsewhere, registry: self, quiet: true })).toEqual(wait);
    // Its owner may live: a pinned one is not gone for that it can't be found just now.
    expect(locate({ ...elsewhere, registry: { ...self, pinned: "holds a socket" }, quiet: true })).toEqual(wait);
  });
});

describe("what can't be decided yet", () => {
  test("is no proof that a session is gone", () => {
    expect(locate({ ...elsewhere, registry: "unreachable" })).toEqual({ kind: "wait" });
    expect(locate({ local: false, policy: "reject", registry: "unreachable" })).toEqual({
      kind: "refuse",
      reason: "misrouted",
    });
  });

  test("an entry that is missing just after entries were lost comes back", () => {
    expect(locate({ ...elsewhere, registry: "none", quiet: true })).toEqual({ kind: "wait" });
  });
});

test("whatever nodes and registry say, a look ends: each node asked once, three at most, the registry once", () => {
  const tags = [owner.tag, other.tag, "third0"];
  const answer = fc.constantFrom<PeerAnswer>("not-here", "refused", "silent");
  const found = fc.record({
    owner: fc.constantFrom(owner, other),
    epoch: fc.constant(1),
    ownerIs: fc.constantFrom("up" as const, "over" as const, "gone" as const, "self" as const),
    ownerIsDirect: fc.boolean(),
    canRelay: fc.boolean(),
  });
  const world = fc.record({
    home: fc.constantFrom(...tags, undefined),
    note: fc.constantFrom(...tags, undefined),
    answers: fc.tuple(answer, answer, answer),
    registry: fc.oneof(fc.constantFrom("none" as const, "unreachable" as const), found),
    policy: fc.constantFrom("resume" as const, "reject" as const),
    quiet: fc.boolean(),
    isNewcomer: fc.boolean(),
  });
  fc.assert(
    fc.property(world, ({ home, note, answers: given, registry, policy, quiet, isNewcomer }) => {
      const answers = new Map<string, PeerAnswer>();
      let asked: RegistryAnswer | undefined;
      for (let turn = 0; turn < 6; turn += 1) {
        const goes = locate({ local: false, home, note, answers, registry: asked, policy, quiet, isNewcomer });
        if (goes.kind === "ask-registry") {
          expect(asked).toBeUndefined();
          asked = registry;
        } else if (goes.kind === "relay") {
          expect(answers.has(goes.to)).toBe(false);
          answers.set(goes.to, given[tags.indexOf(goes.to)] as PeerAnswer);
        } else {
          if (policy === "reject") expect(goes.kind).toBe("refuse");
          return;
        }
      }
      expect.unreachable("it did not end");
    }),
  );
});
