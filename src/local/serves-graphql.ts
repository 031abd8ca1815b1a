const answerDeadlineMs = 3_000;

/** Whether the app of a node answers GraphQL at `/graphql`. */
export async function servesGraphql(url: string): Promise<boolean> {
  try {
    const response = await fetch(new URL("/graphql", url), {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ query: "{ __typename }" }),
      signal: AbortSignal.timeout(answerDeadlineMs),
    });
    const answer = (await response.json()) as { data?: { __typename?: unknown } | null };
    return response.ok && typeof answer.data?.__typename === "string";
  } catch {
    return false;
  }
}
