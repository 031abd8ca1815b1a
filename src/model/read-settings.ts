import { completeSettings } from "./complete-settings.ts";
import { type SettingSpec, type Settings, settingTable } from "./settings.ts";

/** The environment variable of a setting: `allow-origin` is `MOORING_ALLOW_ORIGIN`. */
export function environmentName(flag: string): string {
  return `MOORING_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** What somebody wrote: options of the command line by flag; whatever is absent comes from the environment. */
export type WrittenSettings = Readonly<Record<string, string | undefined>>;

/** Reads one setting from the command line, else from the environment. Undefined: nobody wrote it. */
export function readSetting<T>(
  { flag, read }: SettingSpec<T>,
  written: WrittenSettings,
  environment: WrittenSettings,
): T | undefined {
  const variable = environmentName(flag);
  const byFlag = written[flag];
  if (byFlag !== undefined) return read(byFlag, `--${flag}`);
  const byVariable = environment[variable];
  return byVariable === undefined || byVariable === "" ? undefined : read(byVariable, variable);
}

/** Reads settings from the command line, then the environment, then the defaults, and checks their relations. */
export function readSettings(written: WrittenSettings, environment: WrittenSettings): Settings {
  const given: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries<SettingSpec>(settingTable)) {
    given[key] = readSetting(setting, written, environment);
  }
  return completeSettings(given as Partial<Settings>);
}
