import type { Problem } from "../check.ts";
import { type Balancer, balancers, type Surroundings } from "../recognise.ts";
import { lines } from "./lines.ts";
import { words } from "./words.ts";

const titles: Record<Balancer, string> = { traefik: "Traefik", haproxy: "HAProxy", nginx: "nginx" };

export interface MendFacts extends Surroundings {
  /** Whether the server is Mooring, whose session ids name their node. */
  readonly mooring: boolean;
}

/** How to mend what was found: in words, and as lines for the balancer that was recognised, else for all of them. */
export function mend(problem: Problem, { balancers: recognised, mooring }: MendFacts): string {
  const said = words[problem];
  const parts = [mooring ? (said.mooring ?? said.any) : said.any];
  const ready = lines(problem, mooring);
  for (const balancer of recognised.length === 0 ? balancers : recognised) {
    const forIt = ready?.[balancer];
    if (forIt !== undefined) parts.push(`${titles[balancer]}:\n${indented(forIt)}`);
  }
  return parts.join("\n");
}

function indented(text: string): string {
  return text
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
}
