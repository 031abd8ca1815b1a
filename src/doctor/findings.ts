import { type Check, type CheckId, checkTitles, type Judgement, notRun, type Report } from "./check.ts";
import { type MendFacts, mend } from "./mend/mend.ts";

/** What has been judged so far. */
export class Findings {
  readonly #judgements = new Map<CheckId, Judgement>();

  readonly #stopped: () => boolean;

  /** @param stopped whether the examination was ended early: what comes after that says nothing about the endpoint */
  constructor(stopped: () => boolean) {
    this.#stopped = stopped;
  }

  set(id: CheckId, judgement: Judgement): void {
    if (!this.#stopped()) this.#judgements.set(id, judgement);
  }

  /** Whether a check has failed. */
  failed(id: CheckId): boolean {
    return this.#judgements.get(id)?.result === "failed";
  }

  /** Every check in its place; those that nobody came to are told with the reason. */
  report(url: string, facts: MendFacts, otherwise: string): Report {
    const ids = Object.keys(checkTitles) as CheckId[];
    const checks = ids.map((id) => check(id, this.#judgements.get(id) ?? notRun(otherwise), facts));
    return { url, ok: !this.#stopped() && checks.every(({ result }) => result !== "failed"), checks };
  }
}

function check(id: CheckId, judgement: Judgement, facts: MendFacts): Check {
  const title = checkTitles[id];
  switch (judgement.result) {
    case "ok":
      return { id, title, ...judgement };
    case "not-run":
      return { id, title, ...judgement };
    default: {
      const { result, seen, why, problem } = judgement;
      return { id, title, result, seen, why, mend: mend(problem, facts) };
    }
  }
}
