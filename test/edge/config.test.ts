import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { request } from "undici";
import { afterEach, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { freePort } from "../support/free-port.ts";
import { startBackends } from "./backends.ts";
import { eventually } from "./eventually.ts";
import { runTraefik } from "./real-traefik.ts";

const execute = promisify(execFile);
const ending: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a person starts it. */
async function mooring(...args: string[]): Promise<Outcome> {
  try {
    const { stdout, stderr } = await execute(process.execPath, ["src/cli/main.ts", ...args]);
    return { status: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}

const nodes = ["--node", "node-1=http://10.0.0.7:3001", "--node", "node-2=http://10.0.0.8:3001"];

describe("mooring config traefik", () => {
  test("prints each file with the place where it goes", async () => {
    const { status, stdout } = await mooring("config", "traefik", ...nodes, "--cert", "/c.pem", "--key", "/c.key");
    expect(status).toBe(0);
    await expect(stdout).toMatchFileSnapshot("golden/config-traefik.yml");
  });

  test("says the same as one JSON document", async () => {
    const yaml = (await mooring("config", "traefik", ...nodes)).stdout;
    const { files } = JSON.parse((await mooring("config", "traefik", "--json", ...nodes)).stdout);
    const documents = parseAllDocuments(yaml).map((document) => document.toJSON());
    expect(files.map((file: { content: unknown }) => file.content)).toEqual(documents);
    expect(files.map((file: { path: string }) => file.path)).toEqual([
      "/etc/traefik/traefik.yml",
      "/etc/traefik/dynamic/base.yml",
      "/etc/traefik/dynamic/view.yml",
    ]);
  });

  test("with a feed there is no view to keep, and no node to name", async () => {
    const feed = "http://10.0.0.7:9401/edge/traefik";
    const { files } = JSON.parse((await mooring("config", "traefik", "--json", "--feed", feed)).stdout);
    expect(files.map((file: { path: string }) => file.path)).toEqual([
      "/etc/traefik/traefik.yml",
      "/etc/traefik/dynamic/base.yml",
    ]);
    expect(files[0].content.providers.http).toEqual({ endpoint: feed, pollInterval: "1s", pollTimeout: "5s" });
  });

  test("is taken by real Traefik as it is printed", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mooring-config-"));
    ending.push(() => rm(folder, { recursive: true, force: true }));
    const backends = await startBackends("node-1", "node-2");
    ending.push(...backends.map((backend) => () => backend.stop()));
    const [web, api] = [await freePort(), await freePort()];
    const { stdout } = await mooring(
      "config",
      "traefik",
      ...backends.flatMap(({ name, node }) => ["--node", `${name}=${node.url}`]),
      ...["--entrypoint", `web=127.0.0.1:${web}`, "--api", `127.0.0.1:${api}`, "--folder", folder],
    );
    for (const text of stdout.split("---\n")) {
      const path = /^# File: (.*)$/m.exec(text)?.[1] as string;
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
      expect(parse(text)).toBeTypeOf("object");
    }
    const traefik = await runTraefik(join(folder, "traefik.yml"));
    ending.push(() => traefik.stop());
    const reached = new Set<string>();
    await eventually("both nodes are reached", async () => {
      const answer = await request(`http://127.0.0.1:${web}/graphql`);
      reached.add(((await answer.body.json()) as { node: string }).node);
      return reached.size === 2;
    });
    expect(traefik.log()).toBe("");
  });

  test("without HTTPS it says what becomes of the cookie", async () => {
    const { stdout } = await mooring("config", "traefik", ...nodes, "--entrypoint", "web=:80");
    expect(stdout).toContain("the sticky cookie is Secure");
  });

  test.each([
    [[], "no node is given"],
    [["--node", "a=http://h:1", "--node", "a=http://h:2"], "gives a twice"],
    [["--node", "a=http://h:1", "--node", "b=http://h:1"], "gives http://h:1 twice"],
    [["--node", "a=http://h:1", "--entrypoint", "web=:1", "--entrypoint", "web=:2"], "gives web twice"],
    [["--node", "a=http://h:1", "--cert", "c.pem"], "give both or neither"],
  ])("%j is wrong usage: %s", async (args, problem) => {
    const { status, stderr, stdout } = await mooring("config", "traefik", ...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(problem);
  });

  test.each([
    ["--node", "http://h:1"],
    ["--node", "a=h:1"],
    ["--node", "a=http://h:1/mcp"],
    ["--node", "a=ftp://h:1"],
    ["--node", "a=http://user:secret@h:1"],
    ["--entrypoint", "web"],
    ["--entrypoint", "other=:80"],
  ])("%s %s is refused with an example", async (...args) => {
    const { status, stderr } = await mooring("config", "traefik", ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(/Give .* such as/);
  });
});

describe("mooring config haproxy and nginx", () => {
  test.each(["haproxy", "nginx"])("%s: prints the file with the place where it goes", async (target) => {
    const files = target === "nginx" ? ["--cert", "/c.pem", "--key", "/c.key"] : ["--cert", "/c.pem"];
    const { status, stdout } = await mooring("config", target, ...nodes, ...files);
    expect(status).toBe(0);
    await expect(stdout).toMatchFileSnapshot(`golden/config-${target}.conf`);
  });

  test.each(["haproxy", "nginx"])("%s: affinity is chosen", async (target) => {
    const { stdout } = await mooring("config", target, ...nodes, "--affinity", "session-id", "--json");
    const [file] = JSON.parse(stdout).files;
    expect(file.content).not.toContain("_mcp_backend=");
    expect(file.content).not.toContain("cookie _mcp_backend");
  });

  test.each([
    [["haproxy"], "no node is given"],
    [["haproxy", ...nodes, "--entrypoint", "websecure=:443"], "needs a certificate"],
    [["nginx", ...nodes, "--key", "/c.key"], "--key is given without --cert"],
    [["nginx", ...nodes, "--affinity", "ip"], '"session-id" or "cookie"'],
    [["nginx", "--node", "a=http://h:1", "--node", "b=https://h:2"], "either over HTTP or over HTTPS"],
  ])("%j is wrong usage: %s", async (args, problem) => {
    const { status, stderr, stdout } = await mooring("config", ...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(problem);
  });
});

describe("mooring config", () => {
  test.each([[[]], [["caddy"]], [["caddy", "--node", "a=http://h:1"]]])("%j: says what there is", async (args) => {
    const { status, stderr } = await mooring("config", ...args);
    expect(status).toBe(2);
    expect(stderr).toContain("There is: traefik, haproxy, nginx");
  });
});
