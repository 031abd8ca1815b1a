import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProofChecker, type Proven, prove } from "../../src/node/peer-proof.ts";

const secret = "a secret of the whole cluster";
const now = Date.UTC(2026, 0, 1);
const proven: Proven = {
  to: "k3f9q2",
  method: "POST",
  path: "/mcp",
  session: "k3f9q2.AAAAAAAAAAAAAAAAAAAAAAAA",
  body: "{}",
};

describe("a proof", () => {
  test("is accepted for what it was made for", () => {
    expect(new ProofChecker(secret).fault(prove(secret, proven, now), proven, now)).toBeUndefined();
  });

  test.each<[string, Partial<Proven>]>([
    ["another receiver", { to: "zzzzzz" }],
    ["another method", { method: "DELETE" }],
    ["another path", { path: "/alive" }],
    ["another session", { session: "k3f9q2.BBBBBBBBBBBBBBBBBBBBBBBB" }],
    ["another body", { body: "{ }" }],
    ["no body", { body: undefined }],
  ])("is wrong for %s", (_name, change) => {
    const proof = prove(secret, proven, now);
    expect(new ProofChecker(secret).fault(proof, { ...proven, ...change }, now)).toBe("wrong");
  });

  test("is wrong by another secret", () => {
    expect(new ProofChecker(secret).fault(prove("another", proven, now), proven, now)).toBe("wrong");
  });

  test("is wrong with its time or its nonce changed: neither an old nor a used one can be made new", () => {
    const [time, nonce, mac] = prove(secret, proven, now).split(".") as [string, string, string];
    const checker = new ProofChecker(secret);
    expect(checker.fault(`${(now + 60_000).toString(36)}.${nonce}.${mac}`, proven, now + 60_000)).toBe("wrong");
    expect(checker.fault(`${time}.AAAAAAAAAAAAAAAA.${mac}`, proven, now)).toBe("wrong");
    expect(checker.fault(`${time}.${nonce}.${mac}`, proven, now)).toBeUndefined();
  });

  test("is missing, or wrong, and never an exception, whatever stands in its place", () => {
    const checker = new ProofChecker(secret);
    expect(checker.fault(undefined, proven, now)).toBe("missing");
    const [time, nonce] = prove(secret, proven, now).split(".");
    const near = fc.string().map((mac) => `${time}.${nonce}.${mac}`);
    fc.assert(fc.property(fc.oneof(fc.string(), near), (text) => checker.fault(text, proven, now) === "wrong"));
  });

  test("is good half a minute before and after its time, for clocks differ, and no longer", () => {
    const fault = (off: number) => new ProofChecker(secret).fault(prove(secret, proven, now + off), proven, now);
    for (const off of [-30_000, 30_000]) expect(fault(off), String(off)).toBeUndefined();
    for (const off of [-30_001, 30_001]) expect(fault(off), String(off)).toBe("too old or clocks differ");
  });

  test("is accepted once, whenever it comes again and whatever came in between", () => {
    const step = fc.record({
      passes: fc.integer({ min: 0, max: 70_000 }),
      ahead: fc.integer({ min: -30_000, max: 30_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        const checker = new ProofChecker(secret);
        const sent: string[] = [];
        let time = now;
        for (const { passes, ahead } of steps) {
          time += passes;
          for (const proof of sent) expect(checker.fault(proof, proven, time)).toMatch(/^(used already|too old)/);
          const proof = prove(secret, proven, time + ahead);
          expect(checker.fault(proof, proven, time)).toBeUndefined();
          expect(checker.fault(proof, proven, time)).toBe("used already");
          sent.push(proof);
        }
      }),
      { numRuns: 50 },
    );
  });

  test("is accepted once also at the edges of its time, across the turn of what is remembered", () => {
    for (let began = 0; began <= 61_000; began += 500) {
      const checker = new ProofChecker(secret);
      // The halves turn now; the proof comes `began` later, from a clock that is as far ahead as may be.
      expect(checker.fault(prove(secret, proven, now), proven, now)).toBeUndefined();
      const first = now + began;
      const proof = prove(secret, proven, first + 30_000);
      expect(checker.fault(proof, proven, first)).toBeUndefined();
      for (const later of [1, 30_000, 59_999, 60_000]) {
        expect(checker.fault(proof, proven, first + later), `${began} and ${later}`).toBe("used already");
      }
      expect(checker.fault(proof, proven, first + 60_001)).toBe("too old or clocks differ");
    }
  });
});

describe("what is remembered", () => {
  test("is bounded: beyond it requests are refused, none is forgotten, and time frees it", () => {
    const checker = new ProofChecker(secret, 100);
    const first = prove(secret, proven, now);
    expect(checker.fault(first, proven, now)).toBeUndefined();
    for (let more = 1; more < 100; more += 1)
      expect(checker.fault(prove(secret, proven, now), proven, now)).toBeUndefined();
    expect(checker.fault(prove(secret, proven, now), proven, now)).toBe("too many");
    expect(checker.fault(first, proven, now)).toBe("used already");
    expect(checker.fault(prove(secret, proven, now + 60_000), proven, now + 60_000)).toBeUndefined();
  });

  test("is nothing of what was refused: strangers fill no memory", () => {
    const checker = new ProofChecker(secret, 1);
    for (let more = 0; more < 10; more += 1)
      expect(checker.fault(prove("another", proven, now), proven, now)).toBe("wrong");
    expect(checker.fault(prove(secret, proven, now), proven, now)).toBeUndefined();
  });
});
