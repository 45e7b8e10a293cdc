-- Wireshark and tshark know memcached over UDP, but not the 8 bytes in front of each datagram (protocol.txt, "UDP
-- protocol"). This dissector shows them and hands what follows to the built-in one.
--
--     tshark -X lua_script:scripts/memcached-udp.lua -r x.pcapng
--     Wireshark: copy it to the folder "Personal Lua Plugins" of Help, About, Folders
--
-- The port is a preference of the protocol "memcached_udp": -o memcached_udp.port:11212

local protocol = Proto("memcached_udp", "Memcached UDP header")
local fields = protocol.fields
fields.id = ProtoField.uint16("memcached_udp.request_id", "Request id", base.DEC)
fields.sequence = ProtoField.uint16("memcached_udp.sequence", "Sequence", base.DEC)
fields.total = ProtoField.uint16("memcached_udp.total", "Total datagrams", base.DEC)
fields.reserved = ProtoField.uint16("memcached_udp.reserved", "Reserved", base.HEX)
fields.rest = ProtoField.bytes("memcached_udp.data", "Data of a later datagram")

local fault = ProtoExpert.new("memcached_udp.fault", "No such header", expert.group.MALFORMED, expert.severity.ERROR)
protocol.experts = { fault }

local HEADER_BYTES = 8
local ports = DissectorTable.get("udp.port")
local message = ports:get_dissector(11211)

protocol.prefs.port = Pref.uint("UDP port", 11211, "Port of the memcached servers")
local port_in_use = protocol.prefs.port

function protocol.dissector(buffer, info, tree)
  if buffer:len() < HEADER_BYTES then return 0 end
  local id, sequence, total = buffer(0, 2):uint(), buffer(2, 2):uint(), buffer(4, 2):uint()
  local header = tree:add(protocol, buffer(0, HEADER_BYTES))
  header:append_text(", id " .. id .. ", datagram " .. (sequence + 1) .. " of " .. total)
  header:add(fields.id, buffer(0, 2))
  header:add(fields.sequence, buffer(2, 2))
  header:add(fields.total, buffer(4, 2))
  header:add(fields.reserved, buffer(6, 2))
  -- "0 of 0" is memcached's own, for a quiet request that it has no answer to.
  if sequence >= total and total > 0 then header:add_proto_expert_info(fault, "Sequence at or above total") end
  info.cols.protocol = "MEMCACHE"
  info.cols.info = "id " .. id .. ", datagram " .. (sequence + 1) .. " of " .. total
  if buffer:len() == HEADER_BYTES then return HEADER_BYTES end
  if sequence == 0 and message ~= nil then
    message:call(buffer(HEADER_BYTES):tvb(), info, tree)
  else
    header:add(fields.rest, buffer(HEADER_BYTES))
  end
  return buffer:len()
end

function protocol.prefs_changed()
  if port_in_use == protocol.prefs.port then return end
  ports:remove(port_in_use, protocol)
  port_in_use = protocol.prefs.port
  ports:add(port_in_use, protocol)
end

ports:add(port_in_use, protocol)
