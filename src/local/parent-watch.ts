import { lookUpProcess } from "./process-table.ts";

/** Between a package manager and what it runs stand at most a few shells and launchers. */
const mostLinks = 8;
const packageManager = /(^|[/\s])(npm|npx|pnpm|yarn|bun)(-cli\.js|\.cjs|\.js)?(\s|$)/;
/** On Linux a look is a read of a few small files; elsewhere it runs ps. */
const lookEveryMs = process.platform === "linux" ? 250 : 1_000;

interface Link {
  readonly pid: number;
  readonly parent: number;
}

/**
 * Calls back when a package manager that started this process has ended. Whoever ends `npm start` wants its cluster to
 * end too, but the shell that npm puts between need not pass signals on, and nobody can pass on a SIGKILL. Where no
 * package manager is involved (`npm_lifecycle_event` is not set), nothing is watched: then a cluster may outlive the
 * shell that it was started from, as with nohup.
 */
export function watchPackageManager(onEnd: () => void, environment: NodeJS.ProcessEnv = process.env): () => void {
  if (environment.npm_lifecycle_event === undefined) return () => {};
  const links = linksToPackageManager();
  if (links.length === 0) return () => {};
  const timer = setInterval(() => {
    if (links.every(isWhole)) return;
    clearInterval(timer);
    onEnd();
  }, lookEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** From this process up to the package manager: who is whose child. When one ends, its child gets another parent. */
function linksToPackageManager(): Link[] {
  const links: Link[] = [{ pid: process.pid, parent: process.ppid }];
  for (let pid = process.ppid; links.length <= mostLinks; ) {
    const facts = lookUpProcess(pid);
    if (facts === undefined || pid <= 1) return [];
    if (packageManager.test(facts.command)) return links;
    links.push({ pid, parent: facts.parent });
    pid = facts.parent;
  }
  return [];
}

function isWhole({ pid, parent }: Link): boolean {
  return pid === process.pid ? process.ppid === parent : lookUpProcess(pid)?.parent === parent;
}
