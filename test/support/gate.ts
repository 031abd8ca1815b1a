/** Lets what comes to it wait, while a test holds it. */
export class Gate {
  #opened: Promise<void> = Promise.resolve();

  /** From now on all wait, until this hold is released. */
  hold(): { release(): void } {
    let release = (): void => {};
    this.#opened = new Promise((resolve) => {
      release = resolve;
    });
    return { release };
  }

  async passed(): Promise<void> {
    await this.#opened;
  }
}
