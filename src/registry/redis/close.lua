-- Removes a session with all that is kept of it and tells every node, as one step: no node hears of a close before the
-- keys are gone. It is told also when they were not there, because an owner may hold a copy of what Redis lost.
--
-- KEYS[1]  mcp:session:{<id>}
-- KEYS[2]  …:closed
-- KEYS[3]  …:state
-- KEYS[4]  …:events
-- KEYS[5]  …:ledger
-- ARGV[1]  the channel of closed sessions
-- ARGV[2]  the session's id
-- ARGV[3]  for how many milliseconds the close is remembered when the session was not there; empty for not at all
-- Returns  1 when it was there, else 0
local removed = redis.call("DEL", KEYS[1])
redis.call("DEL", KEYS[3], KEYS[4], KEYS[5])
if removed == 0 and ARGV[3] ~= "" then
  redis.call("SET", KEYS[2], "1", "PX", ARGV[3])
end
redis.call("PUBLISH", ARGV[1], ARGV[2])
return removed
