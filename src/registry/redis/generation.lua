-- Gives the generation of what is in Redis, and makes it when there is none. A caller that knew another one proves that
-- entries were lost: when that was first noticed is noted, once for each generation, by the clock of Redis.
--
-- KEYS[1]  mcp:generation, a hash: id, lostAt
-- ARGV[1]  the id of a new generation
-- ARGV[2]  the id that the caller knew; empty when it knew none
-- Returns  the id, and how many milliseconds ago the loss was noticed, or -1 when none was
local have = redis.call("HMGET", KEYS[1], "id", "lostAt")
local id, lostAt = have[1], tonumber(have[2])
if not id then
  id = ARGV[1]
  redis.call("HSET", KEYS[1], "id", id)
end
local lost = ARGV[2] ~= "" and ARGV[2] ~= id
if not lost and not lostAt then
  return { id, -1 }
end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not lostAt then
  lostAt = now
  -- Whole, for a number of this size would be written as 1.7e+12.
  redis.call("HSET", KEYS[1], "lostAt", string.format("%d", now))
end
return { id, now - lostAt }
