/** What a process says to the bench that asked it for something. */
export type Said<Answer, Progress> =
  | { readonly kind: "progress"; readonly progress: Progress }
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: "failed"; readonly why: string };

/**
 * Answers what the bench asks this process for, one thing at a time, and ends with the bench.
 *
 * @param where in words, what a failure was about
 */
export function answerBench<Request, Answer, Progress = never>(
  answer: (request: Request, onProgress: (progress: Progress) => void) => Promise<Answer>,
  where: (request: Request) => string,
): void {
  const say = (said: Said<Answer, Progress>): void => {
    process.send?.(said);
  };
  process.on("disconnect", () => process.exit(0));
  process.on("message", (request: Request) => {
    answer(request, (progress) => say({ kind: "progress", progress })).then(
      (given) => say({ kind: "answer", answer: given }),
      (error: Error) => say({ kind: "failed", why: `${where(request)}: ${error.message}` }),
    );
  });
}
