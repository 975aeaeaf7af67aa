# What the list says, with its defaults. Nothing in here fails on a wrong list: complaints.tf tells what
# is wrong, all at once.

locals {
  name_of_list = var.file == null ? "cluster" : basename(var.file)
  given        = var.file == null ? var.cluster : yamldecode(file(var.file))

  # A list that is no map has no keys, and a text nothing but itself.
  keys = try(keys(local.given), [])
  raw  = try([for machine in local.given.servers : machine], [])

  name    = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
  stack   = try(lower(tostring(local.given.stack)), "")
  dc      = try(lower(tostring(local.given.dc)), "")
  network = try("${cidrhost(local.given.admin_network, 0)}/${local.prefix}", "")
  prefix  = try(tonumber(split("/", local.given.admin_network)[1]), 0)
  gateway = try(cidrhost("${local.given.gateway}/${local.prefix}", 0) == cidrhost(local.network, 0) ? tostring(local.given.gateway) : null, null)

  interface   = try(tostring(local.given.interface), "eth1")
  nameservers = try([for one in local.given.nameservers : tostring(one)], [])
  ssh_keys    = try([for one in local.given.ssh_authorized_keys : tostring(one)], [])
  own_join    = try([for one in local.given.join : tostring(one)], [])

  machines = [for machine in local.raw : {
    name   = try(lower(tostring(machine.name)), "")
    ip     = try(tostring(machine.ip), null)
    role   = try(tostring(machine.role), "")
    memory = try(tonumber(machine.memory), 1024)
    cpus   = try(tonumber(machine.cpus), 2)
    disk   = try(tonumber(machine.disk), 20)
  }]
  # A name that two have is told; until then the first has it.
  named   = [for at, machine in local.machines : machine if machine.name != "" && index(local.machines[*].name, machine.name) == at]
  servers = [for machine in local.machines : machine if machine.role == "server"]
  workers = [for machine in local.machines : machine if machine.role == "worker"]

  # Who is found by a cloud's tags needs no address of its own.
  has_join = var.join != null || length(local.own_join) > 0
  join     = var.join != null ? var.join : length(local.own_join) > 0 ? local.own_join : compact([for server in local.servers : server.ip])
}
