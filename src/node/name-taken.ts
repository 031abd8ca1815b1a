import type { NodeRecord } from "../ports/registry.ts";

const holders = {
  "same-tag": "has the same tag, by which requests find their node",
  answers: "has that name, and answers",
  renewed: "has that name, and renews its lease",
};

/** A node may not join, because another one lives under its name or its tag. */
export class NameTakenError extends Error {
  override readonly name = "NameTakenError";
  readonly code: "name-taken" | "tag-taken";
  /** The node that is there. */
  readonly by: NodeRecord;

  constructor(why: keyof typeof holders, own: NodeRecord, by: NodeRecord) {
    const there = `node "${by.name}" at ${by.url} (pid ${by.pid})`;
    super(
      `Node "${own.name}" at ${own.url} can't join the cluster: ${there} ${holders[why]} (tag ${own.tag}). ` +
        "Give this one another name (--name), or stop the other.",
    );
    this.code = why === "same-tag" ? "tag-taken" : "name-taken";
    this.by = by;
  }
}
