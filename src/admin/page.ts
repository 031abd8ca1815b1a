import type { NodeView } from "./target.ts";

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => escapes[character] as string);
}

/** The page that an admin listener shows a browser: what it is, and where its API is. */
export function adminPage(title: string, nodes: readonly NodeView[], links: readonly string[]): string {
  const rows = nodes.map(
    ({ name, tag, state, sessions, url }) =>
      `<tr>${[name, tag, state, String(sessions), url].map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`,
  );
  const list = links.map((link) => `<li><a href="${escapeHtml(link)}">${escapeHtml(link)}</a></li>`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>body{font:16px system-ui;margin:2rem;max-width:60rem}td,th{text-align:left;padding:.2rem 1rem .2rem 0}</style>
<h1>${escapeHtml(title)}</h1>
<p>Mooring keeps stateful MCP sessions alive on a cluster. This is its admin listener.</p>
<table><tr><th>node<th>tag<th>state<th>sessions<th>serves at</tr>
${rows.join("\n")}
</table>
<ul>
${list.join("\n")}
</ul>
</html>
`;
}
