/** A call of `count`, as its client saw it. */
export interface Counted {
  /** What it gave; absent when it failed. */
  readonly value?: number;
  readonly status?: number;
  readonly error?: string;
}

/**
 * What is wrong with the values that were acknowledged to the clients of one session, in order. Each is greater than the
 * last one: none is lost, none is given twice. They leave out no more than the calls that failed between them may have
 * counted.
 */
export function countFaults(session: string, calls: readonly Counted[]): string[] {
  const faults: string[] = [];
  let last = 0;
  let failed = 0;
  for (const { value, status, error } of calls) {
    if (value === undefined) failed += 1;
    else {
      if (value <= last) faults.push(`${session}: ${value} after ${last}`);
      if (value - last - 1 > failed)
        faults.push(`${session}: ${last} to ${value}, with ${failed} failed calls between`);
      last = value;
      failed = 0;
    }
    if (status === 404) faults.push(`${session}: ${error}`);
  }
  return faults;
}
