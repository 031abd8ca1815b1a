import { McpServer as ServerV1, ResourceTemplate as TemplateV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpServer as ServerV2, ResourceTemplate as TemplateV2 } from "@modelcontextprotocol/server";
import { z } from "zod";
import { defineServer, type ServerDefinition } from "../../src/session/define-server.ts";
import type { Sdk } from "./kept-session.ts";

/** What a server lists. What is absent it does not have at all. */
export interface Listing {
  readonly tools?: readonly string[];
  readonly resources?: readonly string[];
  readonly templates?: readonly string[];
  readonly prompts?: readonly string[];
}

const empty = z.object({});

function v2({ tools = [], resources = [], templates = [], prompts = [] }: Listing): ServerV2 {
  const server = new ServerV2({ name: "listing", version: "1" });
  for (const name of tools) server.registerTool(name, { inputSchema: empty }, () => ({ content: [] }));
  for (const name of resources) server.registerResource(name, `x://${name}`, {}, () => ({ contents: [] }));
  for (const name of templates) {
    const template = new TemplateV2(`x://${name}/{id}`, { list: undefined });
    server.registerResource(name, template, {}, () => ({ contents: [] }));
  }
  for (const name of prompts) server.registerPrompt(name, {}, () => ({ messages: [] }));
  return server;
}

function v1({ tools = [], resources = [], templates = [], prompts = [] }: Listing): ServerV1 {
  const server = new ServerV1({ name: "listing", version: "1" });
  for (const name of tools) server.registerTool(name, { inputSchema: {} }, () => ({ content: [] }));
  for (const name of resources) server.registerResource(name, `x://${name}`, {}, () => ({ contents: [] }));
  for (const name of templates) {
    const template = new TemplateV1(`x://${name}/{id}`, { list: undefined });
    server.registerResource(name, template, {}, () => ({ contents: [] }));
  }
  for (const name of prompts) server.registerPrompt(name, {}, () => ({ messages: [] }));
  return server;
}

/** A server of an SDK that lists this. */
export function listing(sdk: Sdk, lists: Listing): ServerDefinition {
  return defineServer(() => (sdk === "v1" ? v1(lists) : v2(lists)));
}
