import { describe, expect, test } from "vitest";
import { SettingsError } from "../../src/model/settings-error.ts";
import { openRegistry } from "../../src/registry/open-registry.ts";
import { parseRedisUrl } from "../../src/registry/redis/redis-url.ts";
import { RecordedLog } from "../support/recorded-log.ts";

describe("a Redis URL", () => {
  test.each([
    ["redis://localhost", { kind: "server", address: { host: "localhost", port: 6379 }, tls: false, database: 0 }],
    ["redis://", { kind: "server", address: { host: "127.0.0.1", port: 6379 }, tls: false, database: 0 }],
    ["redis://10.0.0.7:6390/3", { kind: "server", address: { host: "10.0.0.7", port: 6390 }, tls: false, database: 3 }],
    ["rediss://[::1]:6390/", { kind: "server", address: { host: "::1", port: 6390 }, tls: true, database: 0 }],
    ["redis://:p%40ss@h", { kind: "server", address: { host: "h", port: 6379 }, password: "p@ss" }],
    ["redis://me:a:b@h", { kind: "server", address: { host: "h", port: 6379 }, username: "me", password: "a:b" }],
    [
      "redis+sentinel://a:1,b,[::2]:3/trips/4",
      {
        kind: "sentinel",
        sentinels: [
          { host: "a", port: 1 },
          { host: "b", port: 26379 },
          { host: "::2", port: 3 },
        ],
        primary: "trips",
        database: 4,
        tls: false,
      },
    ],
    [
      "rediss+cluster://me:secret@a:1,b",
      {
        kind: "cluster",
        seeds: [
          { host: "a", port: 1 },
          { host: "b", port: 6379 },
        ],
        username: "me",
        password: "secret",
        tls: true,
        shown: "rediss+cluster://a:1,b",
      },
    ],
  ])("%s is read", (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject(expected);
  });

  test.each([
    ["http://h", "not of a known form"],
    ["localhost:6379", "not of a known form"],
    ["redis://h?db=1", "not of a known form"],
    ["redis://h:99999", 'no valid host and port in "h:99999"'],
    ["redis://a,b", "several hosts"],
    ["redis://h/one", 'the database "one"'],
    ["redis://h/1/2", "more than a database number"],
    ["redis://me@h", "without a password"],
    ["redis://me:100%@h", "percent-encoded"],
    ["redis+sentinel://a:1", "does not name the primary"],
    ["redis+sentinel://a:1/trips/0/1", "too many parts"],
    ["redis+cluster://a:1/2", "has only number 0"],
  ])("%s is refused with what is wrong and what is accepted", (url, why) => {
    const open = () => openRegistry({ redis: url, namespace: "", log: new RecordedLog() });
    expect(open).toThrow(SettingsError);
    expect(open).toThrow(why);
    expect(open).toThrow("Give redis://");
  });

  test("no error repeats the password", () => {
    for (const url of ["redis://me:secret@a,b", "redis+ftp://me:secret@h", "redis://me:sec/ret@h/x"]) {
      expect(() => parseRedisUrl(url)).toThrow(SettingsError);
      expect(() => parseRedisUrl(url)).not.toThrow("sec");
    }
  });
});
