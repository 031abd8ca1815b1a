-- Removes a session with all that is kept of it and tells every node, as one step: no node hears of a close before the
-- keys are gone. It is told also when they were not there, because an owner may hold a copy of what Redis lost. Where
-- they were there the close is remembered: an older claim may arrive after it.
--
-- KEYS[1]  mcp:session:{<id>}
-- KEYS[2]  …:closed
-- KEYS[3]  …:state
-- KEYS[4]  …:events
-- KEYS[5]  …:ledger
-- ARGV[1]  the channel of closed sessions
-- ARGV[2]  the session's id
-- ARGV[3]  for how many milliseconds the close is remembered
-- ARGV[4]  1 when it is remembered also if the session was not there
-- Returns  1 when it was there, else 0
local removed = redis.call("DEL", KEYS[1])
redis.call("DEL", KEYS[3], KEYS[4], KEYS[5])
if removed == 1 or ARGV[4] == "1" then
  redis.call("SET", KEYS[2], "1", "PX", ARGV[3])
end
redis.call("PUBLISH", ARGV[1], ARGV[2])
return removed
