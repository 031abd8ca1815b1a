import { McpServer } from "@modelcontextprotocol/server";
import { type Authenticate, defineServer, type ServerContext } from "mooring";

const users = new Map([
  ["Bearer 9f2c", "ada"],
  ["Bearer 71d0", "ben"],
]);

function notes({ session }: ServerContext): McpServer {
  const server = new McpServer({ name: "notes", version: "1.0.0" });
  server.registerTool("whoami", {}, async () => {
    return { content: [{ type: "text", text: session.principal?.subject ?? "nobody" }] };
  });
  return server;
}

const authenticate: Authenticate = ({ headers }) => {
  const subject = users.get(headers.authorization ?? "");
  return subject === undefined ? undefined : { issuer: "https://login.example.org", subject };
};

export default defineServer(notes, { authenticate });
