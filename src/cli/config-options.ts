import { InvalidArgumentError } from "commander";
import type { EdgeNode } from "../edge/view.ts";
import { tagOf } from "../model/tag.ts";
import { CommandError } from "./failure.ts";
import type { Options } from "./node-options.ts";

/** A file to put on a person's own host. */
export interface ConfigFile {
  readonly path: string;
  /** What it is, as the comment at its head says. */
  readonly about: readonly string[];
  /** Text, or what becomes YAML. */
  readonly content: string | Readonly<Record<string, unknown>>;
}

interface WrittenNode {
  readonly name: string;
  readonly url: string;
}

interface WrittenEntryPoint {
  readonly name: "web" | "websecure";
  readonly address: string;
}

/** The options that every balancer takes, read. */
export interface WrittenConfig extends Options {
  readonly node?: readonly WrittenNode[];
  readonly entrypoint?: readonly WrittenEntryPoint[];
  readonly cert?: string;
  readonly key?: string;
  readonly json?: boolean;
}

export function collect<T>(read: (written: string) => T): (written: string, before?: readonly T[]) => readonly T[] {
  return (written, before = []) => [...before, read(written)];
}

export function readNode(written: string): WrittenNode {
  const [, name, address] = /^([^=\s]+)=(\S+)$/.exec(written) ?? [];
  const url = address === undefined || !URL.canParse(address) ? undefined : new URL(address);
  if (name === undefined || url === undefined || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`) {
    throw new InvalidArgumentError("Give a name and an address without a path, such as node-1=http://10.0.0.7:3001.");
  }
  return { name, url: url.origin };
}

export function readEntryPoint(written: string): WrittenEntryPoint {
  const [, name, address] = /^(web|websecure)=(\S*:\d+)$/.exec(written) ?? [];
  if (name === undefined || address === undefined) {
    throw new InvalidArgumentError("Give web or websecure and an address, such as web=:80 or websecure=10.0.0.1:443.");
  }
  return { name: name as WrittenEntryPoint["name"], address };
}

/** Says what contradicts itself in the options, or undefined. */
export function problemOf({ node = [], entrypoint = [], cert, key }: WrittenConfig): string | undefined {
  if (node.length === 0) {
    return "no node is given. Give one or more, such as --node node-1=http://10.0.0.7:3001.";
  }
  const twice = twiceIn(node.map(({ name }) => name)) ?? twiceIn(node.map(({ url }) => url));
  if (twice !== undefined) {
    return `--node gives ${twice} twice. Each node needs a name and an address of its own.`;
  }
  const entryTwice = twiceIn(entrypoint.map(({ name }) => name));
  if (entryTwice !== undefined) {
    return `--entrypoint gives ${entryTwice} twice. Give each entry point once.`;
  }
  if (cert === undefined && key !== undefined) {
    return "--key is given without --cert. Give both or neither.";
  }
  return undefined;
}

function twiceIn(values: readonly string[]): string | undefined {
  return values.find((value, index) => values.indexOf(value) !== index);
}

/** Where to listen, by the name of the entry point. */
export function addressesOf(
  { entrypoint }: WrittenConfig,
  usual: { readonly web: string; readonly websecure?: string },
): { readonly web?: string; readonly websecure?: string } {
  return entrypoint === undefined ? usual : Object.fromEntries(entrypoint.map(({ name, address }) => [name, address]));
}

/** The nodes that are named, each up. */
export function nodesOf({ node = [] }: WrittenConfig): EdgeNode[] {
  return node.map(({ name, url }) => ({ name, tag: tagOf(name), url, state: "up" }));
}

export function wrongUsage(message: string): CommandError {
  return new CommandError("usage", message, 2);
}
