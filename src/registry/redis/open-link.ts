import type { ClientSettings } from "./client-settings.ts";
import { ClusterLink } from "./cluster-link.ts";
import type { Link, LinkEvents } from "./link.ts";
import { PrimaryFinder } from "./primary.ts";
import { ServerLink, type Whereabouts } from "./server-link.ts";

/** The way to Redis that the URL asks for. */
export function openLink(settings: ClientSettings, events: LinkEvents): Link {
  const { target } = settings;
  switch (target.kind) {
    case "server": {
      const fixed: Whereabouts = { moves: false, locate: async () => target.address, check: async () => {} };
      return new ServerLink(settings, fixed, events);
    }
    case "sentinel":
      return new ServerLink(settings, new PrimaryFinder(settings, target), events);
    case "cluster":
      return new ClusterLink(settings, target, events);
  }
}
