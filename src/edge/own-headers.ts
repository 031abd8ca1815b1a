/**
 * The headers that mean something between the edge and the nodes, or among the nodes. Nobody outside may send one: the
 * edge takes them out of every request. They are named one by one because Traefik and nginx can't go by a prefix.
 */
export const ownHeaders = ["Mooring-Failover", "Mooring-Peer", "Mooring-Answer"] as const;

/**
 * Set by Traefik on a request that it could not send to the session's owner: the owner refused the connection, or
 * health checks hold it for down. It was sent to nobody else before. It doesn't prove that the owner is dead.
 */
export const failoverHeader = "Mooring-Failover";
