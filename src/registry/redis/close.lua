-- Removes a session and tells every node, as one step: no node hears of a close before the key is gone. It is told also
-- when the key was not there, because an owner may hold a copy of what Redis lost.
--
-- KEYS[1]  mcp:session:{<id>}
-- ARGV[1]  the channel of closed sessions
-- ARGV[2]  the session's id
-- Returns  1 when the key was there, else 0
local removed = redis.call("DEL", KEYS[1])
redis.call("PUBLISH", ARGV[1], ARGV[2])
return removed
