/** Sessions noted at one time. The oldest note goes first: it only saves a question. */
const mostNotes = 10_000;

/** Where sessions were found last that are not at their homes: the next request for one asks there first. */
export class OwnerNotes {
  readonly #tags = new Map<string, string>();

  get(id: string): string | undefined {
    return this.#tags.get(id);
  }

  set(id: string, tag: string): void {
    this.#tags.delete(id);
    this.#tags.set(id, tag);
    if (this.#tags.size > mostNotes) {
      const [oldest] = this.#tags.keys();
      this.#tags.delete(oldest as string);
    }
  }

  delete(id: string): void {
    this.#tags.delete(id);
  }
}
