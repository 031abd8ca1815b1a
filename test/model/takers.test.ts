import { expect, test } from "vitest";
import { type Taker, takersOf } from "../../src/model/takers.ts";

const node = (tag: string, since: number, more: Partial<Taker> = {}): Taker => ({
  ...{ tag, since, state: "up", peer: `http://${tag}:1` },
  ...more,
});
const tags = (members: readonly Taker[], format?: number) =>
  takersOf(members, { own: "self", format }).map((n) => n.tag);

test("the node that started last is asked first, and none is left out that could take the session", () => {
  expect(tags([node("old", 1), node("new", 3), node("older", 2)])).toEqual(["new", "older", "old"]);
});

test("nobody is asked who can't take it: itself, who drains, who has no peer link", () => {
  const members = [node("self", 4), node("leaves", 3, { state: "draining" }), node("mute", 2, { peer: undefined })];
  expect(tags([...members, node("able", 1)])).toEqual(["able"]);
});

test("nor who does not read its format", () => {
  const members = [node("silent", 3), node("first", 2, { reads: { oldest: 1, newest: 1 } })];
  const able = node("second", 1, { reads: { oldest: 1, newest: 2 } });
  expect(tags([...members, able], 2)).toEqual(["second"]);
  expect(tags([...members, able], 1)).toEqual(["silent", "first", "second"]);
});
