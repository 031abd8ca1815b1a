-- Takes the tags of nodes that are gone out of the index of nodes. A tag whose score has changed joined again since the
-- caller looked, and stays.
--
-- KEYS[1]  mcp:nodes
-- ARGV[…]  tag and the score that the caller saw, in turns
-- Returns  how many were removed
local removed = 0
for i = 1, #ARGV, 2 do
  local score = redis.call("ZSCORE", KEYS[1], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    removed = removed + redis.call("ZREM", KEYS[1], ARGV[i])
  end
end
return removed
