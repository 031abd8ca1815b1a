import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";

interface Item {
  product: string;
  amount: number;
}

export default defineServer(({ session }) => {
  const server = new McpServer({ name: "shop", version: "2.0.0" });
  const cart = session.state<Item[]>("cart", [], {
    version: 1,
    migrate: (value) => (value as string[]).map((product) => ({ product, amount: 1 })),
  });
  server.registerTool("show", { annotations: { readOnlyHint: true } }, async () => {
    const items = cart.value.map(({ product, amount }) => `${amount} × ${product}`);
    return { content: [{ type: "text", text: `In the cart: ${items.join(", ")}` }] };
  });
  return server;
});
