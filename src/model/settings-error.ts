/** A setting that can't be read, is out of bounds, or contradicts another one. The message says what to give. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}
