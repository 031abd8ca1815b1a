import type { Socket } from "node:net";
import {
  type Agreed,
  agree,
  checkProof,
  commonVersion,
  type DirectionKeys,
  GreetingFault,
  type Identity,
  isSame,
  noCommonVersion,
  readHello,
  readReply,
  writeHello,
  writeReply,
} from "./greeting.ts";

/** The largest message of a greeting. Of a stranger's bytes no more than four times that are kept. */
const maxMessageBytes = 1024;

/** What a greeting led to. */
export interface Greeted {
  readonly keys: DirectionKeys;
  /** Who is on the other side. */
  readonly peer: Identity;
  /** What the other side sent behind its greeting. */
  readonly early: Buffer;
}

export interface Greeter {
  readonly self: Identity;
  readonly secret: string;
}

/** Greets the node that this side dialled. The caller destroys the socket when its patience is over. */
export async function greetListener(socket: Socket, { self, secret }: Greeter, peer: Identity): Promise<Greeted> {
  const messages = new Messages(socket);
  const hello = writeHello(self, peer);
  messages.send(hello);
  const reply = await messages.next();
  readReply(reply);
  const { diallerProof, listenerProof, toListener, toDialler } = agree(secret, hello, reply);
  messages.send(diallerProof);
  checkProof(await messages.next(), listenerProof);
  return { keys: { incoming: toDialler, outgoing: toListener }, peer, early: messages.release() };
}

/** Greets whoever connected. */
export async function greetDialler(socket: Socket, { self, secret }: Greeter): Promise<Greeted> {
  const messages = new Messages(socket);
  const hello = await messages.next();
  const { versions, from, to } = readHello(hello);
  const version = commonVersion(versions);
  const reply = writeReply(version);
  messages.send(reply);
  if (version === undefined) throw new GreetingFault(noCommonVersion(versions));
  const { diallerProof, listenerProof, toListener, toDialler }: Agreed = agree(secret, hello, reply);
  checkProof(await messages.next(), diallerProof);
  // Only now: a stranger learns nothing of which nodes there are.
  if (!isSame(to, self)) throw new GreetingFault("it means another node, or a former start of this one");
  messages.send(listenerProof);
  return { keys: { incoming: toListener, outgoing: toDialler }, peer: from, early: messages.release() };
}

/** The few messages of a greeting: two bytes of length each, then so many bytes. */
class Messages {
  readonly #socket: Socket;
  #held: Buffer = Buffer.alloc(0);
  #fault: GreetingFault | undefined;
  #wake = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#take);
    socket.on("close", this.#lost);
  }

  send(message: Buffer): void {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    this.#socket.write(Buffer.concat([length, message]));
  }

  async next(): Promise<Buffer> {
    for (;;) {
      const size = this.#held.length < 2 ? Number.POSITIVE_INFINITY : 2 + this.#held.readUInt16BE();
      if (size <= this.#held.length) {
        const message = this.#held.subarray(2, size);
        this.#held = this.#held.subarray(size);
        return message;
      }
      if (this.#fault !== undefined) throw this.#fault;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Stops reading. Gives what is left. */
  release(): Buffer {
    this.#socket.off("data", this.#take);
    this.#socket.off("close", this.#lost);
    return this.#held;
  }

  #take = (chunk: Buffer): void => {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const said = this.#held.length >= 2 ? this.#held.readUInt16BE() : 0;
    if (said > maxMessageBytes || this.#held.length > 4 * maxMessageBytes) {
      this.#fault ??= new GreetingFault("it does not speak the peer link's protocol");
      this.#socket.destroy();
    }
    this.#wake();
  };

  #lost = (): void => {
    this.#fault ??= new GreetingFault("it broke the connection off");
    this.#wake();
  };
}
