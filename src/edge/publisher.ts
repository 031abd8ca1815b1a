import type { Log } from "../ports/log.ts";
import { fileText } from "./traefik-files.ts";
import type { TraefikFile } from "./traefik-view.ts";
import type { ClusterView } from "./view.ts";
import { viewProblem } from "./view-problem.ts";

/** How views reach one Traefik. */
export interface PublisherParts {
  readonly render: (view: ClusterView) => TraefikFile;
  /** Puts a rendered view where Traefik takes it from. */
  readonly deliver: (text: string) => Promise<void>;
  /** Whether what was delivered is still there. */
  readonly delivered: (text: string) => Promise<boolean>;
  /** How what Traefik does differs from a rendered view. Without it nobody looks. */
  readonly difference?: ((view: TraefikFile) => Promise<string | undefined>) | undefined;
  /** How long Traefik may take to take a view up. */
  readonly takeUpMs: number;
  readonly log: Log;
}

const lookEveryMs = 25;

/** Shows a Traefik the cluster's view, and checks that it took it up. */
export class Publisher {
  readonly #parts: PublisherParts;
  #wanted: { readonly text: string; readonly file: TraefikFile; readonly view: ClusterView } | undefined;
  #confirmed: string | undefined;
  /** Views are shown one after another. */
  #showing: Promise<void> | undefined;
  /** What was logged last: what stays as it is, is said once. */
  #said = "";
  #stopped = false;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /**
   * Shows Traefik a view, and resolves when it has taken it up, or its time is over. A view that was overtaken by a
   * newer one is left out; one that is in effect already costs next to nothing, so that repeating it mends what failed.
   * Never rejects: what went wrong is logged as `edge-refused`.
   */
  publish(view: ClusterView): Promise<void> {
    const file = this.#parts.render(view);
    this.#wanted = { view, file, text: fileText(file) };
    this.#showing ??= this.#showAll().finally(() => {
      this.#showing = undefined;
    });
    return this.#showing;
  }

  /** Breaks off what waits for Traefik. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#showing;
  }

  async #showAll(): Promise<void> {
    let shown: string | undefined;
    while (!this.#stopped && this.#wanted !== undefined && this.#wanted.text !== shown) {
      shown = this.#wanted.text;
      await this.#show(this.#wanted.text, this.#wanted.file);
    }
  }

  async #show(text: string, file: TraefikFile): Promise<void> {
    const { deliver, delivered, difference, takeUpMs } = this.#parts;
    const intact = await delivered(text);
    if (intact && this.#confirmed === text) return;
    const problem = viewProblem(file);
    if (problem !== undefined) return this.#say(`not written: ${problem}`);
    if (!intact) {
      try {
        await deliver(text);
      } catch (error) {
        return this.#say(`not written: ${(error as Error).message}`);
      }
    }
    const deadline = performance.now() + takeUpMs;
    let found = await difference?.(file);
    while (found !== undefined && !this.#overtaken(text) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      found = await difference?.(file);
    }
    if (found !== undefined && this.#overtaken(text)) return;
    this.#confirmed = found === undefined ? text : undefined;
    this.#say(found);
  }

  #overtaken(text: string): boolean {
    return this.#stopped || this.#wanted?.text !== text;
  }

  /** Says that the view is in effect, or why it is not. */
  #say(reason: string | undefined): void {
    const { log } = this.#parts;
    const nodes = this.#wanted?.view.nodes ?? [];
    const named = (state: string) => nodes.filter((node) => node.state === state).map(({ name }) => name);
    const fields = { up: named("up"), draining: named("draining"), down: named("down") };
    const saying = JSON.stringify([reason, fields]);
    if (saying === this.#said) return;
    this.#said = saying;
    if (reason === undefined) log.info("edge-published", fields);
    else log.error("edge-refused", { ...fields, reason });
  }
}
