import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { AdminListener } from "./admin/admin-server.ts";
import { sessionView } from "./admin/session-view.ts";
import { readAdmin, startAdmin } from "./admin/start-admin.ts";
import { NodeFeed } from "./edge/node-feed.ts";
import { leasesUntilGone } from "./edge/view-of.ts";
import { completeSettings } from "./model/complete-settings.ts";
import { ownFormats } from "./model/formats.ts";
import { longestStop } from "./model/stop-time.ts";
import { tagOf } from "./model/tag.ts";
import type { MooringNode, NodeOptions } from "./mooring-node.ts";
import { isLocalUrl } from "./node/access.ts";
import type { Exchange } from "./node/exchange.ts";
import { Finder } from "./node/finder.ts";
import { Front } from "./node/front.ts";
import { Generations } from "./node/generations.ts";
import { McpEndpoint } from "./node/mcp-endpoint.ts";
import { Members } from "./node/members.ts";
import { Membership } from "./node/membership.ts";
import { NodeMetrics } from "./node/metrics.ts";
import { Movement } from "./node/movement.ts";
import { Offers } from "./node/offers.ts";
import { OwnerNotes } from "./node/owner-notes.ts";
import { Ownership } from "./node/ownership.ts";
import { type Peering, startPeering } from "./node/peering.ts";
import { answerPromises, askPromise, PromisesMade } from "./node/promises.ts";
import { startSessionHost } from "./node/session-host.ts";
import { SessionKeeper } from "./node/session-keeper.ts";
import { answersAsItself } from "./node/sign-of-life.ts";
import { webExchange } from "./node/web-exchange.ts";
import { readBoth, systemClock } from "./ports/clock.ts";
import { silentLog } from "./ports/log.ts";
import type { NodeRecord } from "./ports/registry.ts";
import { DeferredWrites } from "./registry/deferred-writes.ts";
import { openRegistry } from "./registry/open-registry.ts";
import { Renewals } from "./registry/renewals.ts";
import { renewalInterval, sessionTtl } from "./registry/session-ttl.ts";
import type { AppHandler } from "./session/define-server.ts";

/** How long a node that stops waits for calls that it has passed on. */
const lastRelaysMs = 5_000;

/**
 * Makes a node and lets it join its cluster; where a former life of it holds its name still, that takes up to one lease.
 * Rejects with a SettingsError when settings contradict each other, with a RegistryError when the registry does not
 * answer, with a NameTakenError when another node lives under its name, and with what the module's own app threw when it
 * started.
 */
export async function createNode(options: NodeOptions): Promise<MooringNode> {
  const settings = completeSettings(options);
  const adminAddress = readAdmin(settings.admin);
  const { name, url, log = silentLog, clock = systemClock } = options;
  const definition = typeof options.server === "function" ? { create: options.server } : options.server;
  const { redis } = options;
  const sessionTtlMs = sessionTtl(settings.sessionIdle);
  const registry = options.registry ?? openRegistry({ redis, namespace: settings.namespace, log, sessionTtlMs });
  await registry.start();

  const tag = tagOf(name);
  const incarnation = randomUUID();
  const now = () => clock.now();
  const writes = new DeferredWrites({ registry, log, onLost: (id, why) => keeper.claimLost(id, why) });
  const renewals = new Renewals({
    ...{ registry, log, renewEveryMs: renewalInterval(sessionTtlMs) },
    onMissing: (ids) => void keeper.entries.check(ids),
  });
  const metrics = new NodeMetrics();
  const shared = startSessionHost({
    ...{ node: { name, tag }, definition, settings, metrics, log, now },
    members: () => members.all(),
  });
  const { host } = shared;
  const isShared = options.registry !== undefined || redis !== undefined;
  const read = () => readBoth(clock);
  const goneAfter = settings.lease * leasesUntilGone;
  const members = new Members({
    ...{ registry, ownTag: tag, renew: settings.renew, goneAfter },
    onListed: (askedAt) => ownership.listed(askedAt),
  });
  const generations = new Generations({ registry, lease: settings.lease, log });
  const promises = new PromisesMade({
    lease: settings.lease,
    read,
    // One that has not begun to join promises nothing either.
    hasRegistry: async () => membership === undefined || (await membership.check()),
  });
  const others = () => members.known().filter((node) => node.tag !== tag);
  const ownership: Ownership = new Ownership({
    ...{ lease: settings.lease, renew: settings.renew, read, others },
    policy: isShared ? settings.policy : "reject",
    askLease: () => void membership?.check(),
    askPromise: (node) => askPromise(peering, node, { tag, incarnation }),
    onOver: () => {
      log.error("lease-over", { node: name, sessions: keeper.size });
      void keeper.giveUp();
    },
  });
  const keeper: SessionKeeper = new SessionKeeper({
    ...{ host, incarnation, registry, writes, renewals, ownership, generations, metrics, log },
    keeps: isShared && settings.policy === "resume",
    idle: settings,
    peer: () => record.peer,
  });
  metrics.observe(() => ({
    sessions: keeper.size,
    parked: keeper.parked.size,
    streams: host.keepAlive.size,
    inFlight: keeper.inFlight,
    retainedBytes: host.retained.bytes,
    writes: writes.counts(),
    unreplicated: registry.unreplicatedWrites,
  }));
  const access = { ...settings, loopback: isLocalUrl(url) };
  const ending = new AbortController();
  const sessions = () => keeper.all().map((session) => sessionView(session, name));
  const close = async (id: string) => (await keeper.close(id)) === undefined;
  const feed = new NodeFeed({
    members,
    affinity: settings.affinity,
    times: { lease: settings.lease, goneAfter },
    log,
  });
  let record: NodeRecord = { name, tag, incarnation, url, state: "up", pid: process.pid, since: now() };

  let app: AppHandler | undefined;
  let admin: AdminListener | undefined;
  let membership: Membership | undefined;
  let peering: Peering | undefined;
  let movement: Movement | undefined;
  let endpoint: McpEndpoint;
  let finder: Finder;
  let isLost = false;
  let joined = false;
  /** Aborted when a stop is wanted without a hand-over. */
  const atOnce = new AbortController();
  let stopping: Promise<void> | undefined;

  function onLost(to: NodeRecord): void {
    isLost = true;
    log.error("node-lost", { node: name, url, sessions: keeper.size, to: { url: to.url, pid: to.pid } });
    void keeper.loseName();
    options.onLost?.(to);
  }

  async function setState(state: NodeRecord["state"]): Promise<void> {
    // A node that stops drains until its end.
    if (membership === undefined || stopping !== undefined) return;
    if (membership.record.state !== state) {
      log.info(state === "draining" ? "node-draining" : "node-up", { node: name, sessions: keeper.size });
    }
    try {
      // Out of the pool first.
      await membership.setState(state);
    } finally {
      if (state === "draining") movement?.drain();
      else await movement?.cancel();
    }
  }

  function restart(): void {
    log.info("node-restarting", { node: name, sessions: keeper.size });
    // The operator's answer leaves before the node begins to end.
    if (options.onRestart !== undefined) setImmediate(options.onRestart);
  }

  async function hasSession(id: string): Promise<boolean> {
    const where = await finder.whereIs(id);
    if (where.kind === "elsewhere") {
      const { owner, ownerIsUp } = where;
      log.warn("misrouted", { session: id, reason: ownerIsUp ? "misrouted" : "owner-gone", owner: owner.tag });
    }
    return where.kind === "here" || where.kind === "parked";
  }

  /** Waits, but not in a cluster that ends as a whole. */
  async function unlessAtOnce(waiting: Promise<unknown>): Promise<void> {
    const { signal } = atOnce;
    if (signal.aborted) return;
    await Promise.race([waiting, new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }))]);
  }

  async function stop(): Promise<void> {
    log.info("node-stopping", { node: name, sessions: keeper.size });
    await feed.stop();
    // Out of the pool first; the registry may be away, and then the edge finds out by itself.
    await membership?.setState("draining").catch(() => {});
    const isAlone = movement === undefined || members.all().every((node) => node.tag === tag);
    if (!isAlone && !atOnce.signal.aborted) {
      movement?.drain();
      // New clients come until the edge knows, and are served.
      await unlessAtOnce(Promise.all([movement?.drained(), sleep(settings.edgeDelay)]));
    }
    await movement?.stop();
    // Given up before it leaves: whoever sees it gone may adopt what it had.
    await keeper.stop();
    ownership.stop();
    await membership?.leave();
    // What the edge sends here still is passed on, and what was passed on is answered.
    if (!isAlone) await unlessAtOnce(sleep(settings.edgeDelay));
    await peering?.relays.finished(lastRelaysMs);
    await members.stop();
    ending.abort();
    shared.stop();
    await renewals.stop();
    await writes.stop();
    await registry.stop();
    await admin?.stop();
    await peering?.stop();
    log.info("node-stopped", { node: name });
  }

  try {
    app = await definition.app?.({ node: { name, tag }, redis, log, signal: ending.signal });
    admin = await startAdmin(
      {
        metrics,
        sessions,
        close,
        drainDeadline: settings.drainDeadline,
        stopDeadline: longestStop(settings),
        record: () => membership?.record ?? record,
        joined: () => joined,
        setState,
        drainLeft: () => movement?.left,
        restart: options.onRestart && restart,
        nodes: () => registry.nodes(),
        feed: () => feed.answer(),
      },
      { address: adminAddress, allowHost: settings.allowHost, log },
    );
    // A registry in this process's memory is known to no other node.
    if (settings.relay === "on" && isShared) {
      const relayed = (exchange: Exchange) => endpoint.handle(exchange);
      const self = { tag, incarnation };
      peering = await startPeering({ settings, self, url, registry, nodes: members, metrics, log, relayed });
      answerPromises(peering, promises);
    }
    const { policy, hold: holdMs } = settings;
    const notes = new OwnerNotes();
    if (peering !== undefined && policy === "resume") {
      movement = new Movement({
        ...{ ownTag: tag, keeper, notes, writes, registry, generations, promises, peering },
        ...{ holdMs, deadlineMs: settings.drainDeadline, pace: settings.drainPace, metrics, log },
        members: () => members.all(),
      });
    }
    const relays = peering?.relays;
    const offers =
      peering && new Offers({ peering, registry, own: tag, members: () => members.all(), roundMs: holdMs, log });
    finder = new Finder({
      ...{ keeper, registry, nodes: members, relays, notes, offers, generations, promises, ownership },
      ...{ policy, holdMs, incarnation, metrics, now },
    });
    const { authenticate } = definition;
    endpoint = new McpEndpoint({ keeper, finder, notes, holdMs, access, authenticate, metrics, log, now });
    const direct = peering && (settings.peerDirect || isLocalUrl(peering.url));
    record = { ...record, admin: admin?.url, peer: peering?.url, direct, reads: ownFormats };
    membership = new Membership({
      ...{ registry, record, times: settings, log, answers: answersAsItself, read, onLost },
      onRenewed: (askedAt) => {
        ownership.renewed(askedAt);
        void generations.check().catch(() => metrics.registryFailed());
      },
      onNotRenewed: () => void ownership.notRenewed(),
      onLapsed: () => members.lapsed(),
      onRejoined: () => {
        ownership.rejoined();
        members.lapsed();
        // Others may have taken this node for dead, and its sessions over, though by promises it went on.
        void keeper.entries.checkAll();
      },
    });
    await membership.join();
    members.onChange(() => peering?.keepOnly(members.known()));
    registry.onReachable((reachable) => {
      if (reachable) void keeper.entries.checkAll();
    });
    registry.onHeardAgain(() => void keeper.entries.checkAll());
    generations.onLost(() => void peering?.shareSecret().catch(() => metrics.registryFailed()));
    await members.start();
    movement?.start();
    feed.start();
    keeper.start();
  } catch (error) {
    await stop();
    throw error;
  }
  joined = true;
  log.info("node-started", { node: name, tag, url });

  const front = new Front({ endpoint, app, access, incarnation, lost: () => isLost, log });
  return {
    name,
    tag,
    incarnation,
    admin: admin?.url,
    handle: (request, response) => front.handle(request, response),
    fetch: (request) => {
      const { exchange, response } = webExchange(request);
      void front.answer(exchange);
      return response;
    },
    hasSession,
    sessions,
    nodes: () => registry.nodes(),
    close,
    drain: async () => {
      await setState("draining");
      await movement?.drained();
    },
    undrain: () => setState("up"),
    stop: ({ handOver = true } = {}) => {
      if (!handOver) atOnce.abort();
      stopping ??= stop();
      return stopping;
    },
  };
}
