-- Draws of the prize "speed", each by a user of its own.
local n = 0
local prefix

function setup(thread)
  threads = (threads or 0) + 1
  thread:set("id", threads)
end

function init(args)
  math.randomseed(os.time() * 1000 + id * 7919 + tonumber(args[1] or 0) * 104729)
  prefix = '{"user":"u' .. math.random(1, 1e9) .. "-"
  headers = { ["Content-Type"] = "application/json" }
end

function request()
  n = n + 1
  return wrk.format("POST", "/v1/prizes/speed/draw", headers, prefix .. n .. '"}')
end

