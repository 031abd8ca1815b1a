import { ErrorReply } from "redis";
import { beforeEach, describe, expect, test } from "vitest";
import { type Connection, ReplicaWaits, type ReplicaWaitsOptions } from "../../src/registry/redis/replica-waits.ts";
import { eventually } from "../support/eventually.ts";

/** A connection whose answers to WAIT come when the test gives them. */
class PlayedConnection implements Connection {
  /** Commands by their first word, in the order in which they were given. */
  readonly sent: string[] = [];
  replicas = 1;
  readonly waits: ((replicas: number | Error) => void)[] = [];

  async sendCommand([name = ""]: readonly string[]): Promise<unknown> {
    this.sent.push(name);
    if (name === "INFO") {
      const lines = Array.from({ length: this.replicas }, (_, n) => `slave${n}:ip=::1,state=online,offset=1\r\n`);
      return `# Replication\r\nrole:master\r\nslave9:ip=::1,state=wait_bgsave\r\n${lines.join("")}`;
    }
    if (name !== "WAIT") return "written";
    return await new Promise((resolve, reject) => {
      this.waits.push((reply) => (reply instanceof Error ? reject(reply) : resolve(reply)));
    });
  }
}

describe("writes that wait for a replica", () => {
  const never = new AbortController().signal;
  let connection: PlayedConnection;
  let unmet: string[];

  beforeEach(() => {
    connection = new PlayedConnection();
    unmet = [];
  });

  function waits(options: Partial<ReplicaWaitsOptions> = {}): ReplicaWaits {
    const onNotReplicated = (writes: number, why: string) => void unmet.push(`${writes}: ${why}`);
    return new ReplicaWaits({ withinMs: 100, onNotReplicated, ...options });
  }

  const write = (all: ReplicaWaits) => all.send(connection, ["SET"], never);

  test("without replicas nothing waits, and it is looked for them once", async () => {
    connection.replicas = 0;
    const all = waits();
    for (let count = 0; count < 3; count += 1) expect(await write(all)).toBe("written");
    expect(connection.sent).toEqual(["INFO", "SET", "SET", "SET"]);
  });

  test("a write and its wait leave together, and its reply is given when a replica has it", async () => {
    const all = waits();
    await all.look(connection);
    let done = false;
    const writing = write(all).then(() => {
      done = true;
    });
    expect(connection.sent).toEqual(["INFO", "SET", "WAIT"]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    connection.waits[0]?.(1);
    await writing;
    expect(unmet).toEqual([]);
  });

  test("writes that come while one is waited for share the next wait", async () => {
    const all = waits();
    await all.look(connection);
    const writing = [write(all), write(all), write(all)];
    expect(connection.sent).toEqual(["INFO", "SET", "WAIT", "SET", "SET"]);
    connection.waits[0]?.(1);
    await writing[0];
    await eventually(() => expect(connection.waits).toHaveLength(2));
    writing.push(write(all));
    expect(connection.sent.slice(5)).toEqual(["WAIT", "SET"]);
    connection.waits[1]?.(1);
    await Promise.all(writing.slice(0, 3));
    await eventually(() => expect(connection.waits).toHaveLength(3));
    connection.waits[2]?.(1);
    await Promise.all(writing);
    expect(unmet).toEqual([]);
  });

  test("a replica that is too slow fails no write, is told, and is not waited for again for a while", async () => {
    const all = waits({ restMs: 50 });
    await all.look(connection);
    const writing = [write(all), write(all), write(all)];
    connection.waits[0]?.(0);
    expect(await Promise.all(writing)).toEqual(["written", "written", "written"]);
    expect(await write(all)).toBe("written");
    expect(connection.waits).toHaveLength(1);
    expect(unmet).toEqual([
      "1: no replica had it within 100 ms",
      "2: its replicas were too slow a moment ago",
      "1: its replicas were too slow a moment ago",
    ]);
    await eventually(() => {
      void write(all);
      expect(connection.waits).toHaveLength(2);
    });
    connection.waits[1]?.(1);
  });

  test("replicas that come and go are noticed", async () => {
    connection.replicas = 0;
    const all = waits({ lookEveryMs: 20 });
    await write(all);
    connection.replicas = 1;
    await eventually(() => {
      void write(all);
      expect(connection.waits).toHaveLength(1);
    });
    connection.replicas = 0;
    connection.waits[0]?.(0);
    await eventually(async () => {
      const before = connection.waits.length;
      expect(await Promise.race([write(all), new Promise((resolve) => setTimeout(resolve, 50, "waits"))])).toBe(
        "written",
      );
      expect(connection.waits).toHaveLength(before);
    });
  });

  test("a wait that is refused fails no write, and is not asked for again", async () => {
    const all = waits();
    await all.look(connection);
    const refused = [write(all), write(all)];
    connection.waits[0]?.(new ErrorReply("NOPERM this user has no permissions to run the 'wait' command"));
    expect(await Promise.all(refused)).toEqual(["written", "written"]);
    expect(await write(all)).toBe("written");
    expect(unmet.map((each) => each.slice(0, 9))).toEqual(["1: NOPERM"]);
    expect(connection.waits).toHaveLength(1);
  });

  test("a server that is lost before it answers fails the writes that waited: it may have taken them with it", async () => {
    const all = waits();
    await all.look(connection);
    const writing = Promise.allSettled([write(all), write(all)]);
    connection.waits[0]?.(new Error("Socket closed"));
    await eventually(() => expect(connection.waits).toHaveLength(2));
    connection.waits[1]?.(new Error("Socket closed"));
    expect((await writing).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(unmet).toEqual([]);
  });

  test("a write that fails is told at once, and a failed look stops it", async () => {
    const all = waits();
    await all.look(connection);
    const failing: Connection = {
      sendCommand: ([name]) =>
        name === "INFO" ? Promise.reject(new Error("offline")) : connection.sendCommand([name ?? ""]),
    };
    await expect(all.send(failing, ["SET"], never)).rejects.toThrow("offline");
    expect(connection.sent).toEqual(["INFO"]);
  });
});
