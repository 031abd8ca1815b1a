import { createHmac, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Frame, frame, frameType, headFrame, maxFrameBytes, PeerFault } from "../../src/node/peer/frame.ts";
import { Mac } from "../../src/node/peer/mac.ts";
import { RecordReader, RecordWriter } from "../../src/node/peer/records.ts";

const key = randomBytes(32);

interface Taken {
  readonly type: number;
  readonly last: boolean;
  readonly id: number;
  readonly payload: Buffer;
}

function reader(): { readonly taken: Taken[]; push(bytes: Buffer): void } {
  const taken: Taken[] = [];
  const records = new RecordReader(key, (type, last, id, payload) => {
    taken.push({ type, last, id, payload: Buffer.from(payload) });
  });
  return { taken, push: (bytes) => records.push(bytes) };
}

const ping = (id: number) => frame(frameType.ping, id);

/** A record of one's own making, with a good proof. */
function forged(payload: Buffer, number = 0): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(payload.length, 0);
  header.writeUIntBE(number, 2, 6);
  const bytes = Buffer.concat([header, payload]);
  return Buffer.concat([bytes, Buffer.from(new Mac(key).of(bytes), "latin1")]);
}

const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc
    .tuple(fc.nat(2 ** 40 - 1), fc.uint8Array({ maxLength: 20_000, size: "max" }), fc.boolean())
    .map(([id, body, last]) => frame(frameType.data, id, body, last)),
  fc
    .tuple(fc.nat(2 ** 40 - 1), fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.boolean())
    .map(([id, head, body, last]) =>
      headFrame(frameType.request, id, Buffer.from(head).toString("latin1"), body, Buffer.byteLength(body), last),
    ),
);

/** What a frame's payload is on the wire. */
function payloadOf({ head, body }: Frame): Buffer {
  const bytes = Buffer.from(body as Uint8Array);
  if (head === undefined) return bytes;
  const length = Buffer.alloc(2);
  length.writeUInt16BE(head.length);
  return Buffer.concat([length, Buffer.from(head, "latin1"), bytes]);
}

describe("records", () => {
  test("bring every frame as it was sent, in order, however the network cuts them", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(anyFrame, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1 }),
        (writes, cuts) => {
          const writer = new RecordWriter(key);
          const bytes = Buffer.concat(writes.map((frames) => writer.write(frames)));
          const { taken, push } = reader();
          for (let at = 0, cut = 0; at < bytes.length; cut += 1) {
            const size = cuts[cut % cuts.length] as number;
            push(bytes.subarray(at, at + size));
            at += size;
          }
          const sent = writes.flat();
          expect(taken.length).toBe(sent.length);
          for (const [index, { type, last, id, payload }] of taken.entries()) {
            const wanted = sent[index] as Frame;
            expect([type, last, id]).toEqual([wanted.type, wanted.last, wanted.id]);
            expect(payload.equals(payloadOf(wanted))).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("are cut byte by byte too", () => {
    const writer = new RecordWriter(key);
    const { taken, push } = reader();
    const bytes = Buffer.concat([writer.write([ping(1)]), writer.write([ping(2), ping(3)])]);
    for (const byte of bytes) push(Buffer.from([byte]));
    expect(taken.map(({ id }) => id)).toEqual([1, 2, 3]);
  });

  test("carry a proof that is HMAC-SHA256", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.uint8Array({ maxLength: 5_000 }),
        (secret, bytes) => {
          const proof = createHmac("sha256", secret).update(bytes).digest().subarray(0, 16);
          const mac = new Mac(Buffer.from(secret));
          expect(Buffer.from(mac.of(bytes), "latin1").equals(proof)).toBe(true);
          expect(mac.isOf(bytes, proof)).toBe(true);
          expect(mac.isOf(bytes, proof.subarray(0, 15))).toBe(false);
        },
      ),
    );
  });

  test("are refused when a single bit of them was altered, and nothing of them is taken", () => {
    const record = new RecordWriter(key).write([frame(frameType.data, 7, "pay 10")]);
    for (let at = 0; at < record.length; at += 1) {
      const { taken, push } = reader();
      const altered = Buffer.from(record);
      altered[at] = (altered[at] as number) ^ 1;
      // Behind it so many bytes that also a longer length is complete.
      const more = Buffer.concat([altered, Buffer.alloc(70_000)]);
      expect(() => push(more), `byte ${at}`).toThrow(PeerFault);
      expect(taken).toEqual([]);
    }
  });

  test("are refused when they come again, in another order, with one left out, or from the other direction", () => {
    const writer = new RecordWriter(key);
    const [first, second, third] = [1, 2, 3].map((id) => writer.write([ping(id)])) as [Buffer, Buffer, Buffer];
    for (const wrong of [
      [first, first],
      [second, first],
      [first, third],
    ]) {
      const { push } = reader();
      expect(() => push(Buffer.concat(wrong))).toThrow("altered, forged or out of order");
    }
    const back = new RecordReader(randomBytes(32), () => {});
    expect(() => back.push(first)).toThrow(PeerFault);
  });

  test("that are cut short deliver nothing", () => {
    const { taken, push } = reader();
    const record = new RecordWriter(key).write([ping(1)]);
    push(record.subarray(0, record.length - 1));
    expect(taken).toEqual([]);
  });

  test("with frames that don't fit them are refused, also where their proof is good", () => {
    const longer = Buffer.from([frameType.data, 0, 9, 0, 0, 0, 0, 1, 1]);
    expect(() => reader().push(forged(longer))).toThrow("longer than its record");
    expect(() => reader().push(forged(Buffer.from([frameType.data, 0])))).toThrow("cut off");
  });

  test("take frames up to their size, and no larger one is ever written", () => {
    const { taken, push } = reader();
    push(new RecordWriter(key).write([ping(1), frame(frameType.data, 2, Buffer.alloc(maxFrameBytes)), ping(3)]));
    expect(taken.map(({ payload }) => payload.length)).toEqual([0, maxFrameBytes, 0]);
    expect(() => new RecordWriter(key).write([frame(frameType.data, 1, Buffer.alloc(maxFrameBytes + 1))])).toThrow(
      RangeError,
    );
  });
});
