import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";
import { z } from "zod";

// Schemas are made once for the process: made for each session they cost ten times its memory.
const product = z.object({ product: z.string() });

export default defineServer(({ session }) => {
  const server = new McpServer({ name: "shop", version: "1.0.0" });
  const cart = session.state<string[]>("cart", []);

  server.registerTool("add", { inputSchema: product }, async ({ product }) => {
    cart.value.push(product);
    return { content: [{ type: "text", text: `In the cart: ${cart.value.join(", ")}` }] };
  });
  server.registerTool("empty", { annotations: { idempotentHint: true } }, async () => {
    cart.value = [];
    return { content: [{ type: "text", text: "The cart is empty" }] };
  });
  server.registerTool("show", { annotations: { readOnlyHint: true } }, async () => {
    return { content: [{ type: "text", text: `In the cart: ${cart.value.join(", ")}` }] };
  });
  return server;
});
