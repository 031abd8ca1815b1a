-- Removes a node, unless another incarnation of it has joined since.
--
-- KEYS[1]  mcp:node:<tag>
-- ARGV[1]  the incarnation that leaves
-- Returns  1 when it was removed, else 0
if redis.call("HGET", KEYS[1], "incarnation") == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0
