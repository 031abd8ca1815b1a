import { expect, it } from "vitest";
import counter from "../../examples/counter/server.ts";
import { serve } from "../support/serving.ts";
import { connectClient } from "./client.ts";

it("the library's first example counts for each session", async () => {
  const serving = await serve(counter);
  const [one, two] = await Promise.all([connectClient(serving.mcp), connectClient(serving.mcp)]);
  const count = async ({ client }: typeof one) => (await client.callTool({ name: "count" })).content;
  expect(await count(one)).toEqual([{ type: "text", text: "1" }]);
  expect(await count(one)).toEqual([{ type: "text", text: "2" }]);
  expect(await count(two)).toEqual([{ type: "text", text: "1" }]);
  await Promise.all([one.close(), two.close()]);
  await serving.stop();
});
