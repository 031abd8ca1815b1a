import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GeneratedRequest, generatedRequest } from "./generated-requests.ts";
import { mooringSide, type SeenAnswer, type Side, sdkSide } from "./two-servers.ts";
import { wantedDifferences } from "./wanted-differences.ts";

const full = process.env.MOORING_FULL === "1";

let sdk: Side;
let mooring: Side;
const statuses = new Map<number, number>();
const met = new Map(wantedDifferences.map(({ name }) => [name, 0]));

beforeAll(async () => {
  [sdk, mooring] = await Promise.all([sdkSide(), mooringSide()]);
});

afterAll(async () => {
  await Promise.all([sdk.stop(), mooring.stop()]);
});

/** Sends one request to both, each within a fresh session, so that no answer depends on the requests before. */
async function compare(request: GeneratedRequest): Promise<void> {
  await Promise.all([sdk.begin(request.revision), mooring.begin(request.revision)]);
  const [theirs, ours] = (await Promise.all([sdk.send(request), mooring.send(request)])) as [SeenAnswer, SeenAnswer];
  statuses.set(ours.status, (statuses.get(ours.status) ?? 0) + 1);
  const difference = wantedDifferences.find(({ holds }) => !equal(theirs, ours) && holds(request, theirs, ours));
  if (difference !== undefined) {
    met.set(difference.name, (met.get(difference.name) ?? 0) + 1);
    return;
  }
  expect(ours, JSON.stringify(request)).toEqual(theirs);
}

function equal(one: SeenAnswer, other: SeenAnswer): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

test("generated requests get the same status, headers and body from the SDK's transport and from Mooring's", {
  timeout: 240_000,
}, async () => {
  // A fixed seed keeps this run the same everywhere; the full run looks further each time and prints its seed.
  const seed = full ? Date.now() % 1_000_000 : 20_251_125;
  let runs = 0;
  const property = fc.asyncProperty(generatedRequest, async (request) => {
    runs += 1;
    await compare(request);
  });
  await fc.assert(property, { numRuns: full ? 5_000 : 1_000, seed, endOnFailure: true });
  console.info(`${runs} requests compared (seed ${seed})`, Object.fromEntries(statuses), Object.fromEntries(met));
  expect(runs).toBeGreaterThanOrEqual(1_000);
  // Good requests and bad ones: neither may be the exception.
  expect(statuses.get(200)).toBeGreaterThan(150);
});

test("each wanted difference is one that really exists", () => {
  expect([...met].filter(([, times]) => times === 0).map(([name]) => name)).toEqual([]);
});
