import { defineServer } from "mooring";
import { yardstick } from "./yardstick.ts";

export default defineServer(({ session }) => {
  const counter = session.state("count", 0);
  return yardstick(session, {
    version: "1.0.0",
    count: () => {
      counter.value += 1;
      return counter.value;
    },
  });
});
