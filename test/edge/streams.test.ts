import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { generate } from "selfsigned";
import { Agent, request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Backend, startBackend } from "./backends.ts";
import { eventually } from "./eventually.ts";
import { pacedStream } from "./paced-stream.ts";
import { type RealTraefik, startTraefik } from "./real-traefik.ts";

let folder: string;
let certificate: string;
let backend: Backend;
let edge: RealTraefik;
const paced = pacedStream();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mooring-edge-"));
  const made = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    extensions: [
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  certificate = made.cert;
  const files = { certFile: join(folder, "leaf.pem"), keyFile: join(folder, "leaf.key") };
  await writeFile(files.certFile, made.cert);
  await writeFile(files.keyFile, made.private, { mode: 0o600 });
  backend = await startBackend("node-1", paced.answer);
  edge = await startTraefik({ nodes: [backend.node] }, { certificate: files });
});

afterAll(async () => {
  await edge?.stop();
  await backend?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe.each(["http", "https", "https over h2"])("a stream through %s", (way) => {
  test("carries each event at once, and its end reaches the node", async () => {
    const base = way === "http" ? edge.http : edge.https;
    const dispatcher = new Agent({ connect: { ca: certificate }, allowH2: way.endsWith("h2") });
    const stream = await request(`${base}/mcp`, { dispatcher });
    const chunks = stream.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (const wanted of [1, 2, 3]) {
      expect(String((await chunks.next()).value)).toBe(`data: ${wanted}\n\n`);
      await (await request(`${base}/mcp/next`, { dispatcher })).body.dump();
    }
    expect(paced.open()).toBe(1);
    await dispatcher.destroy();
    await eventually("the node sees the end", () => paced.open() === 0);
  });
});

test("the given certificate is shown to whatever name a client asks for", async () => {
  const { port } = new URL(edge.https);
  for (const servername of ["localhost", "elsewhere.example", undefined]) {
    const shown = await new Promise<string>((resolve, reject) => {
      const socket = connect(
        { host: "127.0.0.1", port: Number(port), rejectUnauthorized: false, ...(servername ? { servername } : {}) },
        () => {
          resolve(socket.getPeerX509Certificate()?.toString() ?? "none");
          socket.destroy();
        },
      );
      socket.on("error", reject);
    });
    expect(shown.replace(/\s/g, "")).toBe(certificate.replace(/\s/g, ""));
  }
});
