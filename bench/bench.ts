import type { Children } from "./children.ts";

/** What a command of the bench measures, and what it says of that. */
export interface Bench<Options, Report extends object> {
  /** Rejects where it could not be measured, such as for options that don't go together. */
  readonly run: (children: Children, options: Options) => Promise<Report>;
  readonly describe: (report: Report) => string;
  /** Whether Mooring's answers were right, and all there. An aim that was missed is not looked at. */
  readonly isGood: (report: Report) => boolean;
}
