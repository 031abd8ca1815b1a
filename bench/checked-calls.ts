import type { Connection } from "./load/connection.ts";
import { LoadSession } from "./load/session.ts";

const warmupSessions = 50;
const warmupCalls = 20;

/** Calls a tool whose answer has to hold these values, and gives how many milliseconds that took. */
export async function checkedCall(
  session: LoadSession,
  connection: Connection,
  tool: string,
  values: Readonly<Record<string, string | number>>,
): Promise<number> {
  const began = performance.now();
  const content = await session.ask(connection, tool);
  const took = performance.now() - began;
  for (const [field, value] of Object.entries(values)) {
    if (content[field] !== value) throw new Error(`${tool} gave ${JSON.stringify(content)}, not ${field} ${value}`);
  }
  return took;
}

/** Sessions that come and go before anything is measured: a node in use has compiled what it runs. */
export async function warmUp(url: URL, connection: Connection, tool: string): Promise<void> {
  for (let name = 0; name < warmupSessions; name += 1) {
    const session = await LoadSession.open(url, name, connection, false);
    for (let call = 0; call < warmupCalls; call += 1) await session.ask(connection, tool);
    await session.close(connection);
  }
}
