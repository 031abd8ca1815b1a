-- Notes a new session. An id that is already there keeps what it has: writing a claim again, as after an answer that
-- got lost, changes nothing.
--
-- KEYS[1]  mcp:session:{<id>}
-- ARGV[1]  TTL in milliseconds
-- ARGV[2…] fields and values of the hash, in turns
-- Returns  1 when it was written, 0 when the id was there already
if redis.call("EXISTS", KEYS[1]) == 1 then
  return 0
end
redis.call("HSET", KEYS[1], unpack(ARGV, 2))
redis.call("PEXPIRE", KEYS[1], ARGV[1])
return 1
