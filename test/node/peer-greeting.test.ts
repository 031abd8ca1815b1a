import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Exchange } from "../../src/node/exchange.ts";
import { greetListener } from "../../src/node/peer/greet.ts";
import {
  agree,
  checkProof,
  commonVersion,
  type Identity,
  readReply,
  type Versions,
  writeHello,
  writeReply,
} from "../../src/node/peer/greeting.ts";
import { PeerListener } from "../../src/node/peer/listener.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";

const secret = "what the nodes of this test share";
const self: Identity = { tag: "k3f9q2", incarnation: "second" };
const other: Identity = { tag: "zzzzzz", incarnation: "only" };

let listener: PeerListener;
let log: RecordedLog;
let taken: Exchange[];
let sockets: Socket[];

beforeEach(async () => {
  log = new RecordedLog();
  taken = [];
  sockets = [];
  const relayed = async (exchange: Exchange) => void taken.push(exchange);
  listener = await PeerListener.start({ self, secret, log, relayed, greetingDeadlineMs: 300 }, "127.0.0.1", 0);
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await listener.stop();
});

async function dial(): Promise<Socket> {
  const socket = connect({ port: listener.port, host: "127.0.0.1" });
  sockets.push(socket);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Sends bytes, and gives all that came back when the connection is over. */
async function tell(bytes: Buffer | string): Promise<Buffer> {
  const socket = await dial();
  const got: Buffer[] = [];
  socket.on("data", (chunk) => got.push(chunk));
  socket.write(bytes);
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
  return Buffer.concat(got);
}

function message(body: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(body.length);
  return Buffer.concat([length, body]);
}

const reasons = () => log.of("peer-refused").map(({ reason }) => reason);

async function refused(reason: unknown): Promise<void> {
  await eventually(() => expect(reasons()).toEqual([reason]));
}

describe("whoever connects to the peer link", () => {
  test("and is a node of the cluster gets on with it", async () => {
    const { peer } = await greetListener(await dial(), { self: other, secret }, self);
    expect(peer).toEqual(self);
    expect(reasons()).toEqual([]);
  });

  test("and says nothing is told nothing, and cut after a while", async () => {
    expect(await tell("")).toHaveLength(0);
    await refused("it did not greet in time");
  });

  test("and begins a greeting without an end is cut after a while", async () => {
    const got = await tell(message(writeHello(other, self)));
    // A nonce and the versions: nothing that a stranger could use.
    expect(JSON.parse(got.subarray(2).toString())).toMatchObject({ mooring: "reply", version: 1 });
    await refused("it did not greet in time");
  });

  test.each([
    ["HTTP", "POST /mcp HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["bytes without an end", Buffer.alloc(1_000_000, 1)],
    ["a greeting that is no JSON", message(Buffer.from("hello"))],
    ["a greeting of something else", message(Buffer.from('{"hello":1}'))],
  ])("and speaks another protocol is told nothing, and cut: %s", async (_what, bytes) => {
    expect(await tell(bytes)).toHaveLength(0);
    await refused("it does not speak the peer link's protocol");
  });

  test("and leaves out who it is, is not understood", async () => {
    expect(await tell(message(Buffer.from('{"mooring":"hello","versions":{"oldest":1,"newest":1}}')))).toHaveLength(0);
    await refused("its greeting can't be understood");
  });

  test("and has another secret is not told the listener's proof", async () => {
    const wrong = greetListener(await dial(), { self: other, secret: "another secret than theirs" }, self);
    await expect(wrong).rejects.toThrow("it broke the connection off");
    await refused("it does not have the cluster's secret");
  });

  test.each([
    ["another node", { ...self, tag: "aaaaaa" }],
    ["a former start of this one", { ...self, incarnation: "first" }],
  ])("and means %s is refused", async (_what, meant) => {
    await expect(greetListener(await dial(), { self: other, secret }, meant)).rejects.toThrow(
      "broke the connection off",
    );
    await refused("it means another node, or a former start of this one");
  });

  test("and repeats what a node had said, byte by byte, is refused", async () => {
    const said: Buffer[] = [];
    const socket = await dial();
    const write = socket.write.bind(socket);
    socket.write = ((bytes: Buffer) => {
      said.push(bytes);
      return write(bytes);
    }) as Socket["write"];
    await greetListener(socket, { self: other, secret }, self);
    await tell(Buffer.concat(said));
    await refused("it does not have the cluster's secret");
  });

  test("and speaks no version that this node does learns why, and the log says it", async () => {
    const reply = await tell(message(writeHello(other, self, { oldest: 7, newest: 9 })));
    expect(() => readReply(reply.subarray(2), { oldest: 7, newest: 9 })).toThrow(
      "it speaks versions 1 to 1 of the peer link's protocol and this node 7 to 9: upgrade the older one",
    );
    await refused(expect.stringContaining("it speaks versions 7 to 9"));
  });

  test("and is of the next version is answered in the version that both speak", async () => {
    const reply = await tell(message(writeHello(other, self, { oldest: 1, newest: 2 })));
    expect(readReply(reply.subarray(2), { oldest: 1, newest: 2 })).toBe(1);
  });

  test("and only looks whether somebody listens, as health checks do, is not logged", async () => {
    const socket = await dial();
    socket.end();
    await once(socket, "close");
    await greetListener(await dial(), { self: other, secret }, self);
    expect(reasons()).toEqual([]);
  });

  test("and is cut because this node stops is not logged: it has done nothing", async () => {
    const socket = await dial();
    socket.write(message(writeHello(other, self)));
    await once(socket, "data");
    await listener.stop();
    expect(reasons()).toEqual([]);
  });

  test("cannot keep nodes out by opening many connections", async () => {
    const strangers = await Promise.all(Array.from({ length: 300 }, dial));
    await greetListener(await dial(), { self: other, secret }, self);
    expect(strangers.filter(({ closed }) => closed).length).toBeGreaterThan(40);
  });
});

describe("a node that dials", () => {
  test("tells nothing of its requests to a listener without the secret", async () => {
    let got = "";
    const rogue = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", (hello) => {
        got += hello.toString("latin1");
        const reply = writeReply(1);
        socket.write(message(reply));
        socket.once("data", (proof) => {
          got += proof.toString("latin1");
          socket.write(message(agree("not the secret", hello.subarray(2), reply).listenerProof));
          // Nor is its own proof good for the other side.
          socket.write(proof);
        });
      });
    });
    rogue.listen(0, "127.0.0.1");
    await once(rogue, "listening");
    const socket = connect({ port: (rogue.address() as AddressInfo).port, host: "127.0.0.1" });
    await expect(greetListener(socket, { self: other, secret }, self)).rejects.toThrow(
      "does not have the cluster's secret",
    );
    expect(got).not.toContain(secret);
    socket.destroy();
    rogue.close();
  });

  test("does not take its own proof back", () => {
    const { diallerProof, listenerProof } = agree(secret, Buffer.from("a"), Buffer.from("b"));
    expect(() => checkProof(diallerProof, listenerProof)).toThrow();
  });
});

test.each<[Versions, Versions, number | undefined]>([
  [{ oldest: 1, newest: 1 }, { oldest: 1, newest: 1 }, 1],
  [{ oldest: 1, newest: 2 }, { oldest: 2, newest: 3 }, 2],
  [{ oldest: 2, newest: 3 }, { oldest: 1, newest: 5 }, 3],
  [{ oldest: 1, newest: 1 }, { oldest: 2, newest: 3 }, undefined],
])("nodes that speak %o and %o speak version %o", (ours, theirs, wanted) => {
  expect(commonVersion(theirs, ours)).toBe(wanted);
  expect(commonVersion(ours, theirs)).toBe(wanted);
});
