import { type Command, Option } from "commander";
import { environmentName, readSetting, type WrittenSettings } from "../model/read-settings.ts";
import { type SettingSpec, type Settings, settingSpecs, settingTable } from "../model/settings.ts";
import { writeDuration } from "../model/written-values.ts";
import { CommandError } from "./failure.ts";

/** The options of a command, as commander gives them. */
export type Options = Readonly<Record<string, unknown>>;

const specs = (without: readonly string[]) => settingSpecs.filter(({ flag }) => !without.includes(flag));

/** Adds an option for each setting of a node. */
export function addNodeOptions(command: Command, without: readonly string[] = []): Command {
  for (const setting of specs(without)) {
    const about = `${setting.about} (default: ${shown(setting)}; env: ${environmentName(setting.flag)})`;
    command.addOption(new Option(`--${setting.flag} ${setting.argument}`, about).helpGroup("Node options:"));
  }
  return command;
}

/** What was written on the command line, by flag. */
export function writtenSettings(options: Options, without: readonly string[] = []): WrittenSettings {
  const written: Record<string, string> = {};
  for (const { flag } of specs(without)) {
    const value = options[new Option(`--${flag} <value>`).attributeName()];
    if (typeof value === "string") written[flag] = value;
  }
  return written;
}

/** One setting, for commands that take only some: from the command line, else from the environment, else its default. */
export function settingOf<K extends keyof Settings>(options: Options, key: K): Settings[K] {
  const setting: SettingSpec<Settings[K]> = settingTable[key];
  return readSetting(setting, writtenSettings(options), process.env) ?? setting.fallback;
}

function shown({ fallback, argument }: SettingSpec): string {
  if (typeof fallback === "number" && argument === "<duration>") return writeDuration(fallback);
  if (Array.isArray(fallback) && fallback.length > 0) return fallback.join(",");
  if (Array.isArray(fallback)) return "none";
  return fallback === "" ? "none" : String(fallback);
}

/** Reads a whole number within bounds, as an option's value. */
export function wholeNumber(name: string, least: number, most: number): (written: string) => number {
  return (written) => {
    const value = /^\d+$/.test(written) ? Number(written) : Number.NaN;
    if (Number.isNaN(value) || value < least || value > most) {
      throw new CommandError("usage", `${name} is "${written}". Give a whole number from ${least} to ${most}.`, 2);
    }
    return value;
  };
}

/** Settings that `mooring up` decides for its nodes: it places each one's admin listener. */
export const placedByCluster = ["admin"];
