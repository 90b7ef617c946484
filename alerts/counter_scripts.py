"""What Redis does in one step for `alerts.counters`: each script is all of it or nothing, and nobody comes between."""

import hashlib

HOLD_SECONDS_MAX = 3600
KEPT_SECONDS = 2 * HOLD_SECONDS_MAX  # longer than any hold
DECISIONS_KEPT_SECONDS = 3 * 86_400
COUNTER_FIELD = "counter"  # of `decisions`: which set of counts this is; a Redis that was emptied begins another

FUNCTIONS_LUA = (
    f"""
local KEPT_SECONDS, DECISIONS_KEPT_SECONDS = {KEPT_SECONDS}, {DECISIONS_KEPT_SECONDS}
local NANO_END, DENY, COUNTER = 9007199254740992, 3, '{COUNTER_FIELD}'
"""
    + """
local function tell_time()
  local clock = redis.call('TIME')
  return clock[1] * 1000000 + clock[2]
end
local function cut(text)
  local words = {}
  for word in string.gmatch(text, '%S+') do words[#words + 1] = word end
  return words
end
local function release(holds, expiry, held, ids)
  if #ids == 0 then return end
  local sums = {}
  for _, hold in ipairs(redis.call('HMGET', holds, unpack(ids))) do
    local words = hold and cut(hold) or {}
    for i = 3, #words do sums[words[i]] = (sums[words[i]] or 0) + tonumber(words[1]) end
  end
  for budget, sum in pairs(sums) do
    if redis.call('HINCRBY', held, budget, string.format('-%.0f', sum)) <= 0 then redis.call('HDEL', held, budget) end
  end
  redis.call('HDEL', holds, unpack(ids))
  redis.call('ZREM', expiry, unpack(ids))
end
"""
)
# KEYS: state, holds, expiry, held, decisions, the tenants. ARGV: the tenant, a name for a new set of counts, the
# version that the caller knows; in one text, because each argument costs the client, for each budget its id, what
# remains of it, and the number of its steps with each one's severity and room; and then what each call has of its own:
# how old the standings may be in microseconds, the reservation to make ('' for none), the call's nano-USD, and how long
# to hold it in microseconds.
# Answers words: 'stale' where other standings are stored than the caller knows; 'old'; or 'done', their age, the
# severity, the place of the budget that decides, until when something is held or 0, and what was held in each budget
# besides. Steps are compared as `alerts.core.quota.choose` does it.
CHECK_LUA = (
    FUNCTIONS_LUA
    + """
local now = tell_time()
local state = redis.call('HMGET', KEYS[1], 'version', 'read_at')
if state[1] ~= ARGV[3] then return 'stale' end
local age = now - state[2]
if age > tonumber(ARGV[5]) or age < -1000000 then return 'old' end
release(KEYS[2], KEYS[3], KEYS[4], redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100))
local id, amount = ARGV[6], tonumber(ARGV[7])
local own, before = {}, id ~= '' and redis.call('HGET', KEYS[2], id)
if before then
  before = cut(before)
  for i = 3, #before do own[before[i]] = tonumber(before[1]) end
end
local severity, deciding, least, held_until, can_hold = 0, -1, 0, 0, id ~= '' and amount > 0
local budgets, helds, gates, at = {}, {}, cut(ARGV[4]), 1
while at <= #gates do
  local budget, remaining, steps = gates[at], tonumber(gates[at + 1]), tonumber(gates[at + 2])
  local used, reached = tonumber(redis.call('HGET', KEYS[4], budget) or '0') - (own[budget] or 0), 0
  for step = at + 3, at + 1 + 2 * steps, 2 do
    local room = tonumber(gates[step + 1])
    if used >= room or amount > room - used then reached = math.max(reached, tonumber(gates[step])) end
  end
  if deciding < 0 or reached > severity or (reached == severity and remaining - used < least) then
    severity, deciding, least = reached, #budgets, remaining - used
  end
  can_hold = can_hold and amount < NANO_END - used
  budgets[#budgets + 1] = budget
  helds[#helds + 1] = string.format('%.0f', used)
  at = at + 3 + 2 * steps
end
if before then
  severity, held_until = tonumber(before[2]), tonumber(redis.call('ZSCORE', KEYS[3], id) or '0')
elseif deciding >= 0 then
  if can_hold and severity < DENY then
    held_until = now + tonumber(ARGV[8])
    redis.call('HSET', KEYS[2], id, ARGV[7] .. ' ' .. severity .. ' ' .. table.concat(budgets, ' '))
    redis.call('ZADD', KEYS[3], string.format('%.0f', held_until), id)
    for _, budget in ipairs(budgets) do redis.call('HINCRBY', KEYS[4], budget, ARGV[7]) end
    for i = 2, 4 do redis.call('EXPIRE', KEYS[i], KEPT_SECONDS) end
  end
  local field = string.format('%.0f:%s:%d', math.floor(now / 3600000000) * 3600, budgets[deciding + 1], severity)
  if redis.call('HINCRBY', KEYS[5], field, 1) == 1 then
    redis.call('HSETNX', KEYS[5], COUNTER, ARGV[2])
    redis.call('EXPIRE', KEYS[5], DECISIONS_KEPT_SECONDS)
    redis.call('SADD', KEYS[6], ARGV[1])
  end
end
return string.format('done %.0f %d %d %.0f ', age, severity, deciding, held_until) .. table.concat(helds, ' ')
"""
)
CHECK_SHA = hashlib.sha1(CHECK_LUA.encode(), usedforsecurity=False).hexdigest()
GATES_AND_OWN_WORDS = 5
# KEYS: settled. ARGV: how many at most. Answers the time, and the reservations: read by whoever reads standings next.
BEGIN_LUA = (
    FUNCTIONS_LUA
    + """
return {string.format('%.0f', tell_time()), redis.call('SRANDMEMBER', KEYS[1], ARGV[1])}
"""
)
# KEYS: state. ARGV: the time that BEGIN_LUA told, the version, the standings. A clock that was set back must not keep
# what was read before that.
STORE_LUA = (
    FUNCTIONS_LUA
    + """
local stored = tonumber(redis.call('HGET', KEYS[1], 'read_at') or '0')
if stored > tonumber(ARGV[1]) and stored <= tell_time() then return 0 end
redis.call('HSET', KEYS[1], 'read_at', ARGV[1], 'version', ARGV[2], 'standings', ARGV[3])
redis.call('EXPIRE', KEYS[1], KEPT_SECONDS)
return 1
"""
)
# KEYS: holds, expiry, held, settled. ARGV: reservations that BEGIN_LUA told.
RELEASE_LUA = (
    FUNCTIONS_LUA
    + """
release(KEYS[1], KEYS[2], KEYS[3], ARGV)
redis.call('SREM', KEYS[4], unpack(ARGV))
"""
)
# KEYS: holds, settled. ARGV: reservations whose events are booked; those that hold nothing are passed over.
SETTLE_LUA = (
    FUNCTIONS_LUA
    + """
for _, id in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], id) == 1 then redis.call('SADD', KEYS[2], id) end
end
redis.call('EXPIRE', KEYS[2], KEPT_SECONDS)
"""
)
