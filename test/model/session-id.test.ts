import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mintSessionId, parseSessionId, randomBytesPerId } from "../../src/model/session-id.ts";
import { tagOf, tagPattern } from "../../src/model/tag.ts";

const bytes = fc.uint8Array({ minLength: randomBytesPerId, maxLength: randomBytesPerId });

describe("a session id", () => {
  test("names its home by the tag, and is visible ASCII with one dot", () => {
    fc.assert(
      fc.property(fc.string(), bytes, (name, random) => {
        const tag = tagOf(name);
        const id = mintSessionId(tag, Buffer.from(random));
        expect(id).toMatch(/^[\x21-\x7e]+$/);
        expect(id.split(".")).toHaveLength(2);
        expect(parseSessionId(id)).toEqual({ tag, random: Buffer.from(random).toString("base64url") });
      }),
    );
  });

  test("has at least 128 random bits", () => {
    expect(randomBytesPerId * 8).toBeGreaterThanOrEqual(128);
  });

  test.each([
    "",
    ".",
    "k3f9q2",
    "k3f9q2.",
    "k3f9q2.short",
    "K3F9Q2.AAAAAAAAAAAAAAAAAAAAAAAA",
    "iiiiii.AAAAAAAAAAAAAAAAAAAAAAAA",
    "k3f9q2.AAAAAAAAAAAAAAAAAAAAAAA}",
    "k3f9q2.AAAAAAAAAAAA.AAAAAAAAAAA",
    "k3f9q2.AAAAAAAAAAAAAAAAAAAAAAAA\n",
    " k3f9q2.AAAAAAAAAAAAAAAAAAAAAAAA",
    "__proto__",
    `k3f9q2.${"A".repeat(65)}`,
  ])("that no node can have minted is none: %j", (id) => {
    expect(parseSessionId(id)).toBeUndefined();
  });

  test("of any other text gives an answer, and never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const parts = parseSessionId(text);
        if (parts !== undefined) expect(`${parts.tag}.${parts.random}`).toBe(text);
      }),
    );
  });
});

describe("a node's tag", () => {
  test("comes from the name alone, and fits its pattern", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (name) => {
        expect(tagOf(name)).toBe(tagOf(name));
        expect(tagOf(name)).toMatch(tagPattern);
      }),
    );
  });

  test("is the same in every version: old ids still lead home after an update", () => {
    expect(["node-1", "node-2", "node-3"].map(tagOf)).toMatchInlineSnapshot(`
      [
        "nqv69v",
        "qsnzdj",
        "8cya6h",
      ]
    `);
  });
});
