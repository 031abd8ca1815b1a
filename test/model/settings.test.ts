import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { completeSettings } from "../../src/model/complete-settings.ts";
import { environmentName, readSettings } from "../../src/model/read-settings.ts";
import { settingSpecs } from "../../src/model/settings.ts";
import { SettingsError } from "../../src/model/settings-error.ts";
import { readDuration, writeDuration } from "../../src/model/written-values.ts";

describe("settings come from the command line, then the environment, then the defaults", () => {
  test("each in this order", () => {
    const environment = { MOORING_ANSWERS: "json", MOORING_RENEW: "2s" };
    expect(readSettings({ renew: "1500ms" }, environment)).toMatchObject({
      renew: 1_500,
      answers: "json",
      lease: 5_000,
    });
  });

  test("an empty environment variable is none", () => {
    expect(readSettings({}, { MOORING_ANSWERS: "" }).answers).toBe("sse");
  });

  test("lists are separated by commas, and blanks don't count", () => {
    const { allowOrigin } = readSettings({ "allow-origin": "https://a.example, https://b.example,," }, {});
    expect(allowOrigin).toEqual(["https://a.example", "https://b.example"]);
  });

  test("origins are those that a browser can send, an app's own scheme and all of them too", () => {
    const written = "https://a.example:8443,vscode-webview://abc,null,*";
    expect(readSettings({ "allow-origin": written }, {}).allowOrigin).toEqual(written.split(","));
    expect(readSettings({ "allow-host": "a.example,b:8080,[fd00::1]" }, {}).allowHost).toHaveLength(3);
  });

  test("environment names are those of the flags", () => {
    expect(settingSpecs.map(({ flag }) => environmentName(flag))).toContain("MOORING_ALLOW_ORIGIN");
  });

  test("each has a line in docs/operations.md, with its variable", () => {
    const documented = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
    for (const { flag } of settingSpecs)
      expect(documented).toContain(`| \`--${flag}\` | \`${environmentName(flag)}\` |`);
  });

  test("the defaults alone contradict nothing", () => {
    expect(() => completeSettings({})).not.toThrow();
  });
});

describe("settings that contradict each other stop the start", () => {
  test("a lease that one lost renewal would end names both settings and their values", () => {
    const start = () => completeSettings({ lease: 1_000, renew: 900 });
    expect(start).toThrow(SettingsError);
    expect(start).toThrow(/lease \(1000 ms\).*renew \(900 ms\)/);
  });

  test.each([0, 49, 3_600_001, Number.NaN, Number.POSITIVE_INFINITY])("renew is not %d ms", (renew) => {
    expect(() => completeSettings({ renew, lease: Number.POSITIVE_INFINITY })).toThrow(
      /renew is .*: give 50 ms to 1 h/,
    );
  });

  test("the lease is at least twice renew, whatever is given", () => {
    const ms = fc.oneof(fc.integer({ min: 50, max: 100_000 }), fc.constant(Number.NaN));
    fc.assert(
      fc.property(ms, fc.integer({ min: 50, max: 100_000 }), (lease, renew) => {
        const start = () => completeSettings({ lease, renew });
        if (lease >= 2 * renew) expect(start).not.toThrow();
        else expect(start).toThrow(SettingsError);
      }),
    );
  });
});

describe("how sessions move and rest", () => {
  test("a park-after that session-idle would come before names both settings and their values", () => {
    const start = () => completeSettings({ parkAfter: 900_000, sessionIdle: 60_000 });
    expect(start).toThrow(/park-after \(900000 ms\).*session-idle \(60000 ms\)/);
    expect(() => completeSettings({ parkAfter: 0, sessionIdle: 1 })).not.toThrow();
  });

  test("a short session-idle alone contradicts nothing: then nothing is parked", () => {
    expect(completeSettings({ sessionIdle: 60_000 }).parkAfter).toBe(0);
  });

  test.each([
    [{ drainDeadline: -1 }, /drain-deadline is -1 ms: give 0 to 1h/],
    [{ drainDeadline: 3_600_001 }, /drain-deadline is 3600001 ms/],
    [{ drainDeadline: Number.NaN }, /drain-deadline/],
    [{ drainPace: 0 }, /drain-pace is 0: give at least 1/],
    [{ drainPace: Number.NaN }, /drain-pace/],
    [{ parkAfter: Number.NaN }, /park-after/],
    [{ sessionIdle: 0 }, /session-idle is 0 ms: give up to 30d/],
    [{ sessionIdle: 2_592_000_001 }, /session-idle/],
  ])("%o is refused", (given, message) => {
    expect(() => completeSettings(given)).toThrow(SettingsError);
    expect(() => completeSettings(given)).toThrow(message);
  });

  test("a drain of no time, and one of an hour, are possible", () => {
    expect(() => completeSettings({ drainDeadline: 0 })).not.toThrow();
    expect(() => completeSettings({ drainDeadline: 3_600_000 })).not.toThrow();
  });
});

describe("a setting that can't be read", () => {
  test.each([
    ["policy", "adopt", /--policy is "adopt".*"reject"/],
    ["answers", "xml", /--answers is "xml".*"sse" or "json"/],
    ["trust-proxy", "maybe", /--trust-proxy is "maybe".*"true" or "false"/],
    ["lease", "soon", /--lease is "soon".*5s/],
    ["lease", "-5s", /--lease is "-5s"/],
    ["lease", "", /--lease is ""/],
    ["drain-pace", "fast", /--drain-pace is "fast".*sessions per second/],
    ["drain-pace", "1.5", /--drain-pace is "1.5"/],
    ["allow-origin", "https://a.example,b.example", /--allow-origin has "b.example".*https:\/\/app\.example\.org/],
    ["allow-origin", "https://a.example/", /--allow-origin has "https:\/\/a.example\/".*without a path/],
    ["allow-host", "http://a.example", /--allow-host has "http:\/\/a.example".*mcp\.example\.org/],
    ["namespace", "a b", /--namespace is "a b"/],
    ["namespace", "{x}", /--namespace is "{x}"/],
  ])("--%s %s is refused by its name, with what is accepted", (flag, written, message) => {
    expect(() => readSettings({ [flag]: written }, {})).toThrow(message);
  });

  test("is named by its variable when it comes from the environment", () => {
    expect(() => readSettings({}, { MOORING_LEASE: "soon" })).toThrow(/MOORING_LEASE is "soon"/);
  });
});

describe("durations", () => {
  test.each([
    ["500ms", 500],
    ["5s", 5_000],
    ["0.5s", 500],
    ["15min", 900_000],
    ["1h", 3_600_000],
    ["30d", 2_592_000_000],
    ["7", 7_000],
    [" 2s ", 2_000],
  ])("%s is %i ms", (written, ms) => {
    expect(readDuration(written, "it")).toBe(ms);
  });

  test.each(["500ms", "1500ms", "5s", "15min", "1h", "36h", "30d", "0"])("%s is written as it was read", (written) => {
    expect(writeDuration(readDuration(written, "it"))).toBe(written);
  });
});
