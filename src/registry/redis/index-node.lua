-- Puts the tag of a node that joined into the index of nodes and tells every node, as one step: who hears of it finds it.
--
-- KEYS[1]  mcp:nodes
-- ARGV[1]  the tag's score: when its lease ends, by the clock of the node that joined
-- ARGV[2]  the tag
-- ARGV[3]  the channel of changed nodes
-- Returns  1
redis.call("ZADD", KEYS[1], ARGV[1], ARGV[2])
redis.call("PUBLISH", ARGV[3], ARGV[2])
return 1
