-- Removes a node, unless another incarnation of it has joined since, and tells every node who left.
--
-- KEYS[1]  mcp:node:<tag>
-- ARGV[1]  the incarnation that leaves
-- ARGV[2]  the channel of changed nodes
-- ARGV[3]  what every node is told
-- Returns  1 when it was removed, else 0
if redis.call("HGET", KEYS[1], "incarnation") ~= ARGV[1] then
  return 0
end
redis.call("DEL", KEYS[1])
redis.call("PUBLISH", ARGV[2], ARGV[3])
return 1
