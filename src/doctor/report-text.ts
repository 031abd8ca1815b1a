import type { Check, CheckResult, Report } from "./check.ts";

const words: Record<CheckResult, string> = { ok: "ok", warning: "warning", failed: "FAILED", "not-run": "not run" };
const width = 100;

/** The report for people. */
export function reportText({ url, checks }: Report): string {
  const count = (result: CheckResult) => checks.filter((check) => check.result === result).length;
  const warnings = count("warning");
  const sum = `${count("ok")} ok, ${warnings} ${warnings === 1 ? "warning" : "warnings"}, ${count("failed")} failed, ${count("not-run")} not run`;
  const told = new Map<string, string>();
  const texts = checks.map((check) => {
    const { title, mend } = check;
    const before = mend === undefined ? undefined : told.get(mend);
    if (mend !== undefined && before === undefined) told.set(mend, title);
    return checkText(before === undefined ? check : { ...check, mend: `As for "${before}".` });
  });
  return [url, "", ...texts, "", sum].join("\n");
}

function checkText(check: Check): string {
  const { title, result, seen, why, mend } = check;
  const said = result === "ok" ? seen : result === "not-run" ? why : undefined;
  const head = `${words[result].padEnd(8)} ${title}${said === undefined ? "" : `: ${said}`}`;
  if (result === "ok" || result === "not-run") return head;
  return [head, ...part("seen", seen), ...part("why", why), ...part("mend", mend)].join("\n");
}

function part(name: string, text: string | undefined): string[] {
  if (text === undefined) return [];
  const lead = `${" ".repeat(9)}${`${name}:`.padEnd(6)}`;
  const indent = " ".repeat(lead.length);
  return text.split("\n").flatMap((line, index) => wrapped(line, index === 0 ? lead : indent, indent));
}

/** Words are wrapped; lines of configuration, which are indented, stay as they are. */
function wrapped(text: string, lead: string, indent: string): string[] {
  if (text.startsWith(" ")) return [lead + text];
  const lines: string[] = [];
  let line = lead;
  let empty = true;
  for (const word of text.split(" ")) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
