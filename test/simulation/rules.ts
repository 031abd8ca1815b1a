/** What the simulated nodes and their registry go by. Each rule can be broken alone, to show what it is for. */
export interface Rules {
  /** A change of owner compares the epoch. */
  readonly comparesEpochs: boolean;
  /** By which clocks a right is judged. */
  readonly clocks: "both" | "monotonic" | "wall";
  /** Whether the renewal of a session's TTL creates what is not there. */
  readonly renewalCreates: boolean;
  /** Without the registry, a node goes on beyond its lease only by the promise of all others. */
  readonly needsPromises: boolean;
  /** The supposed owner is asked before a session is adopted. */
  readonly asksOwner: boolean;
  /** When changed state is written. */
  readonly writes: "before-answer" | "after-answer";
  /** When an answer may leave whose state could not be written. */
  readonly answersUnwritten: "when-all-promised" | "when-registry-fails";
  /** What a node said before the registry named it as the owner proves nothing. */
  readonly asksAgain: boolean;
  /** Each session remembers in which generation of the registry it was noted. */
  readonly generationBySession: boolean;
  /** A new lease begins a new right where there was a gap: what was held before is dropped first. */
  readonly dropsAtGap: boolean;
  /** That nobody was there to adopt, because all others were dead or there were none, counts for one lease only. */
  readonly promisesExpire: boolean;
  /** A node whose lease ran out is asked for its promise too: it may live, and come back to the registry first. */
  readonly asksLapsed: boolean;
  /**
   * For one lease after its start, a node adopts nothing from an owner that is merely silent, and takes no list of the
   * nodes for complete.
   */
  readonly newcomersWait: boolean;
  /** The generation is read in the same moment as a session or a node that may be missing. */
  readonly readsGenerationAgain: boolean;
  /** While the registry is away and a lease longer, what it doesn't have may still be written by its owner. */
  readonly waitsAfterOutage: boolean;
  /** Every close is remembered, not only that of a session that was not there: an older claim may come after it. */
  readonly remembersEveryClose: boolean;
  /** A call whose session is dropped under it is answered: its client must not take it for one that never began. */
  readonly answersDroppedCalls: boolean;
  /** A node holds a session's requests and ends its copy before it asks another one to take it. */
  readonly endsBeforeAsking: boolean;
  /** Whoever is asked to take a session compares its epoch; also whoever is its home. */
  readonly takesByEpoch: boolean;
  readonly comesHomeByEpoch: boolean;
  /** A copy that leaves, or is parked, has been written, and the registry has confirmed it. */
  readonly leavesWritten: boolean;
  readonly parksWritten: boolean;
  /** A node that drains is offered no session, and takes none. */
  readonly drainingTakesNothing: boolean;
  /** Whoever can't read a session that it has claimed gives it on, untouched. */
  readonly refusesNewer: boolean;
  /** An orphan that a node can't read, or must not take, goes to one that can and may. */
  readonly passesOn: boolean;
  /** A node that ends waits for what it passes on to others. */
  readonly waitsForLastRequests: boolean;
  /** A gate opens however the move went; otherwise only when somebody took the session. */
  readonly opensAnyway: boolean;
  /** A copy is ended only where there is somebody to take it, and after a vain try not at once again. */
  readonly placesFirst: boolean;
  /** Whoever learns that a session is of another epoch than the one it gave away leaves it alone. */
  readonly leavesToOthers: boolean;
}

export const soundRules: Rules = {
  comparesEpochs: true,
  clocks: "both",
  renewalCreates: false,
  needsPromises: true,
  asksOwner: true,
  writes: "before-answer",
  answersUnwritten: "when-all-promised",
  asksAgain: true,
  generationBySession: true,
  dropsAtGap: true,
  promisesExpire: true,
  asksLapsed: true,
  newcomersWait: true,
  readsGenerationAgain: true,
  waitsAfterOutage: true,
  remembersEveryClose: true,
  answersDroppedCalls: true,
  endsBeforeAsking: true,
  takesByEpoch: true,
  comesHomeByEpoch: true,
  leavesWritten: true,
  parksWritten: true,
  drainingTakesNothing: true,
  refusesNewer: true,
  passesOn: true,
  waitsForLastRequests: true,
  opensAnyway: true,
  placesFirst: true,
  leavesToOthers: true,
};
