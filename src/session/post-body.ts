import { createHash } from "node:crypto";

/** The body of a POST, by which a repeat of it is known. Kept as text until its hash is needed, if it ever is. */
export class PostBody {
  /** Characters of its text; 0 where only its hash is known. What was read from it takes about as much memory. */
  readonly length: number;
  #text: string | undefined;
  #hash: string | undefined;

  private constructor(text: string | undefined, hash: string | undefined) {
    this.length = text?.length ?? 0;
    this.#text = text;
    this.#hash = hash;
  }

  static ofText(text: string): PostBody {
    return new PostBody(text, undefined);
  }

  static ofHash(hash: string): PostBody {
    return new PostBody(undefined, hash);
  }

  /** base64url of SHA-256. */
  get hash(): string {
    if (this.#hash === undefined) {
      this.#hash = hashOf(this.#text as string);
      // A body may have megabytes, and the call that it began may take long.
      this.#text = undefined;
    }
    return this.#hash;
  }

  is(text: string): boolean {
    return this.#text === undefined ? this.#hash === hashOf(text) : this.#text === text;
  }
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
