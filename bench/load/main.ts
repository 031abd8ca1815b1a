// The load in a process of its own: it takes plans from the bench, one at a time, and ends with it.
import { answerBench } from "./answer-bench.ts";
import { runLoad } from "./run.ts";

answerBench(runLoad, ({ url }) => url);
