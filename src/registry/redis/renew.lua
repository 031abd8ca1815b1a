-- Gives a session its full TTL again, with all that is kept of it but its events, which end by their age. Creates
-- nothing.
--
-- KEYS[1]  mcp:session:{<id>}
-- KEYS[2]  …:state
-- KEYS[3]  …:ledger
-- ARGV[1]  TTL in milliseconds
-- Returns  1 when the session was there, else 0
local renewed = redis.call("PEXPIRE", KEYS[1], ARGV[1])
if renewed == 1 then
  redis.call("PEXPIRE", KEYS[2], ARGV[1])
  redis.call("PEXPIRE", KEYS[3], ARGV[1])
end
return renewed
