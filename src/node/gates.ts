/** calls: requests that begin calls wait, all else is served. all: everything waits. */
export type Closed = "calls" | "all";

interface Gate {
  readonly how: Closed;
  readonly opened: Promise<void>;
  readonly open: () => void;
}

/** The gates of sessions that are about to leave this node: what arrives for them meanwhile waits, and nothing fails. */
export class Gates {
  /** At most as many as there are sessions here. */
  readonly #gates = new Map<string, Gate>();

  close(id: string, how: Closed): void {
    const before = this.#gates.get(id);
    if (before?.how === how) return;
    let open: () => void = () => {};
    const opened = before?.opened ?? new Promise<void>((resolve) => (open = resolve));
    this.#gates.set(id, { how, opened, open: before?.open ?? open });
  }

  open(id: string): void {
    const gate = this.#gates.get(id);
    this.#gates.delete(id);
    gate?.open();
  }

  /** Asked for each request. */
  how(id: string): Closed | undefined {
    return this.#gates.size === 0 ? undefined : this.#gates.get(id)?.how;
  }

  /** Until the gate opens, for so long at the most. Gives whether it is open. */
  async opened(id: string, mostMs: number): Promise<boolean> {
    const gate = this.#gates.get(id);
    if (gate === undefined) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, mostMs);
    });
    await Promise.race([gate.opened, late]);
    clearTimeout(timer);
    return !this.#gates.has(id);
  }
}
