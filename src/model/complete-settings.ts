import { maxSessionIdleMs, type SettingSpec, type Settings, settingTable } from "./settings.ts";
import { SettingsError } from "./settings-error.ts";

/** Puts the defaults where nothing was given, and checks the relations between settings. */
export function completeSettings(given: Partial<Settings>): Settings {
  const settings: Record<string, unknown> = {};
  for (const [key, { fallback }] of Object.entries<SettingSpec>(settingTable)) {
    settings[key] = given[key as keyof Settings] ?? fallback;
  }
  const complete = settings as unknown as Settings;
  // Nobody asked for parking: then a short session-idle is no contradiction, sessions end before they would be parked.
  if (given.parkAfter === undefined && complete.parkAfter >= complete.sessionIdle) settings.parkAfter = 0;
  checkRelations(complete);
  return complete;
}

const minRenewMs = 50;
const maxRenewMs = 60 * 60_000;
const maxHoldMs = 5 * 60_000;
const maxEdgeDelayMs = 5 * 60_000;
const maxDrainDeadlineMs = 60 * 60_000;

/**
 * Throws a {@link SettingsError} that names the setting whose value is out of bounds, or both settings when two of them
 * contradict each other.
 */
function checkRelations(settings: Settings): void {
  const { lease, renew, hold, edgeDelay, drainDeadline, drainPace, parkAfter, sessionIdle } = settings;
  // Asked so that NaN, which compares false with everything, is refused too.
  if (!(renew >= minRenewMs && renew <= maxRenewMs)) {
    throw new SettingsError(
      `renew is ${renew} ms: give 50 ms to 1 h. Each node writes to Redis so often, and is missed no sooner.`,
    );
  }
  if (!(lease >= 2 * renew)) {
    throw new SettingsError(
      `lease (${lease} ms) must be at least twice renew (${renew} ms), or one lost renewal makes a healthy node count as gone. Raise lease or lower renew.`,
    );
  }
  if (!(hold >= 0 && hold <= maxHoldMs)) {
    throw new SettingsError(`hold is ${hold} ms: give 0 to 5min. Clients and proxies give up on longer waits.`);
  }
  if (!(drainDeadline >= 0 && drainDeadline <= maxDrainDeadlineMs)) {
    throw new SettingsError(
      `drain-deadline is ${drainDeadline} ms: give 0 to 1h. A node that stops takes so long, and its supervisor has to wait for longer.`,
    );
  }
  if (!(edgeDelay >= 0 && edgeDelay <= maxEdgeDelayMs)) {
    throw new SettingsError(`edge-delay is ${edgeDelay} ms: give 0 to 5min. A node that stops waits so long, twice.`);
  }
  if (!(drainPace >= 1)) {
    throw new SettingsError(`drain-pace is ${drainPace}: give at least 1 session per second.`);
  }
  if (!(sessionIdle > 0 && sessionIdle <= maxSessionIdleMs)) {
    throw new SettingsError(
      `session-idle is ${sessionIdle} ms: give up to 30d. The registry forgets an unused session after that.`,
    );
  }
  if (!(parkAfter >= 0 && parkAfter < sessionIdle)) {
    throw new SettingsError(
      `park-after (${parkAfter} ms) must be shorter than session-idle (${sessionIdle} ms), or sessions end before they leave memory. Lower park-after or raise session-idle; a park-after of 0 keeps all in memory.`,
    );
  }
}
