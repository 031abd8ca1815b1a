import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Knowledge, type Location, locate, type PeerAnswer } from "../../src/model/locate.ts";

const owner = { tag: "k3f9q2", incarnation: "one" };

const cases: readonly [name: string, known: Knowledge, goes: Location][] = [
  ["a session held here is served here", { local: true }, { kind: "here" }],
  ["one held here is served here whatever else is said", { local: true, registry: "none" }, { kind: "here" }],
  ["the registry is asked only when this node knows nothing", { local: false }, { kind: "ask-registry" }],
  ["a closed one is refused without asking", { local: false, ended: "closed" }, { kind: "refuse", reason: "closed" }],
  ["an expired one too", { local: false, ended: "expired" }, { kind: "refuse", reason: "expired" }],
  ["one whose server ended too", { local: false, ended: "server-gone" }, { kind: "refuse", reason: "server-gone" }],
  ["nobody knows it", { local: false, registry: "none" }, { kind: "refuse", reason: "unknown" }],
  [
    "its owner is up elsewhere",
    { local: false, registry: { owner, ownerIsUp: true } },
    { kind: "refuse", reason: "misrouted", owner },
  ],
  [
    "its owner is gone",
    { local: false, registry: { owner, ownerIsUp: false } },
    { kind: "refuse", reason: "owner-gone", owner },
  ],
  [
    "a registry that doesn't answer is no proof that a session is gone",
    { local: false, registry: "unreachable" },
    { kind: "refuse", reason: "misrouted" },
  ],
];

describe("where a request goes", () => {
  test.each(cases)("%s", (_name, known, goes) => {
    expect(locate(known)).toEqual(goes);
  });

  test("once the registry has answered, it is never asked again", () => {
    const knowledge = fc.record({
      local: fc.boolean(),
      ended: fc.constantFrom("closed" as const, "expired" as const, "server-gone" as const, undefined),
      registry: fc.oneof(
        fc.constantFrom("none" as const, "unreachable" as const),
        fc.boolean().map((ownerIsUp) => ({ owner, ownerIsUp })),
      ),
    });
    fc.assert(fc.property(knowledge, (known) => locate(known).kind !== "ask-registry"));
  });
});

describe("where a request goes that may be passed on", () => {
  const other = { tag: "m4m4m4", incarnation: "two" };
  const up = { owner: other, ownerIsUp: true };
  const said = (...answers: [string, PeerAnswer][]) => new Map(answers);
  const home = owner.tag;

  const passed: readonly [name: string, known: Knowledge, goes: Location][] = [
    ["to its home, and the registry isn't asked", { local: false, home }, { kind: "relay", to: home }],
    ["served here, if it is here, rather than at its home", { local: true, home }, { kind: "here" }],
    ["nowhere, if it ended here", { local: false, home, ended: "closed" }, { kind: "refuse", reason: "closed" }],
    ["after its home said no", { local: false, home, answers: said([home, "not-here"]) }, { kind: "ask-registry" }],
    [
      "after its home gave no answer",
      { local: false, home, answers: said([home, "unreachable"]) },
      { kind: "ask-registry" },
    ],
    [
      "to the owner that the registry names",
      { local: false, home, answers: said([home, "not-here"]), registry: up, canRelay: true },
      { kind: "relay", to: other.tag },
    ],
    [
      "not to an owner without a peer link",
      { local: false, registry: up, canRelay: false },
      { kind: "refuse", reason: "misrouted", owner: other },
    ],
    [
      "the owner gives no answer: it may well hold it",
      { local: false, registry: up, canRelay: true, answers: said([other.tag, "unreachable"]) },
      { kind: "refuse", reason: "misrouted", owner: other },
    ],
    [
      "the owner itself doesn't hold it",
      { local: false, registry: up, canRelay: true, answers: said([other.tag, "not-here"]) },
      { kind: "refuse", reason: "owner-gone", owner: other },
    ],
    [
      "home and owner are one, and it was asked already",
      {
        local: false,
        home,
        registry: { owner, ownerIsUp: true },
        canRelay: true,
        answers: said([home, "unreachable"]),
      },
      { kind: "refuse", reason: "misrouted", owner },
    ],
    [
      "home gives no answer and the registry knows of no session",
      { local: false, home, registry: "none", answers: said([home, "unreachable"]) },
      { kind: "refuse", reason: "unknown" },
    ],
    [
      "neither home nor registry can be asked",
      { local: false, home, registry: "unreachable", answers: said([home, "unreachable"]) },
      { kind: "refuse", reason: "misrouted" },
    ],
  ];

  test.each(passed)("%s", (_name, known, goes) => {
    expect(locate(known)).toEqual(goes);
  });

  test("whatever nodes and registry say, it ends: each node asked once, two at most, the registry once", () => {
    const answer = fc.constantFrom<PeerAnswer>("not-here", "unreachable");
    const registry = fc.oneof(
      fc.constantFrom("none" as const, "unreachable" as const),
      fc.record({ owner: fc.constantFrom(owner, other), ownerIsUp: fc.boolean() }),
    );
    const world = fc.record({
      home: fc.constantFrom(owner.tag, other.tag, undefined),
      answers: fc.record({ [owner.tag]: answer, [other.tag]: answer }),
      registry,
      canRelay: fc.boolean(),
    });
    fc.assert(
      fc.property(world, (said) => {
        const relayedTo: string[] = [];
        const answers = new Map<string, PeerAnswer>();
        let asked: Knowledge["registry"];
        for (let turn = 0; turn < 4; turn += 1) {
          const goes = locate({ local: false, home: said.home, answers, registry: asked, canRelay: said.canRelay });
          if (goes.kind === "refuse") break;
          expect(turn).toBeLessThan(3);
          if (goes.kind === "relay") {
            expect(relayedTo).not.toContain(goes.to);
            relayedTo.push(goes.to);
            answers.set(goes.to, said.answers[goes.to] as PeerAnswer);
          } else {
            expect(goes.kind).toBe("ask-registry");
            expect(asked).toBeUndefined();
            asked = said.registry;
          }
        }
        expect(relayedTo.length).toBeLessThanOrEqual(2);
      }),
    );
  });
});
