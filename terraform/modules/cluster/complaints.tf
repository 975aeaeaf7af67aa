# What is wrong with the list: where, what was found, what would be right. In the words of
# `swarmer config check --servers`, which reads the same file.

locals {
  known_keys         = ["stack", "dc", "admin_network", "interface", "gateway", "nameservers", "ssh_authorized_keys", "join", "servers"]
  known_machine_keys = ["name", "ip", "role", "memory", "cpus", "disk"]
  a_name             = "expected a name of 1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'"
  docker             = "172.17.0.0"

  top_complaints = length(local.keys) == 0 ? ["expected a map with stack, dc, admin_network and servers"] : concat(
    [for key in local.keys : "unknown key \"${key}\", expected ${join(", ", local.known_keys)}" if !contains(local.known_keys, key)],
    [for key in ["stack", "dc"] : "${key}: ${contains(local.keys, key) ? "found ${try(jsonencode(local.given[key]), "something else")}" : "missing"}, ${local.a_name}"
    if !(can(regex("^\"", jsonencode(try(local.given[key], null)))) && can(regex(local.name, lower(try(local.given[key], "")))))],
    !contains(local.keys, "interface") || can(regex("^[A-Za-z][A-Za-z0-9_-]{0,14}$", local.given.interface)) ? [] : [
    "interface: found ${jsonencode(local.given.interface)}, expected an interface's name, like eth1"],
    !contains(local.keys, "nameservers") || can([for one in local.given.nameservers : regex("^[0-9a-fA-F:.]+$", one)]) ? [] : [
    "nameservers: expected a list of addresses"],
    !contains(local.keys, "ssh_authorized_keys") || can([for one in local.given.ssh_authorized_keys : regex("^(ssh-|ecdsa-|sk-)\\S+ AAAA[^\"[:cntrl:]]+$", one)]) ? [] : [
    "ssh_authorized_keys: expected a list of public keys, each like \"ssh-ed25519 AAAA… name\""],
    !contains(local.keys, "join") || can([for one in local.given.join : regex("^\\S", one)]) ? [] : [
    "join: expected a list of peers"],
  )

  network_is = {
    given = try(tostring(local.given.admin_network), "")
    # Without a network there is nothing to hold addresses against.
    known  = local.network != "" && can(cidrnetmask(local.network)) && !can(regex("^(0|127|22[4-9]|23[0-9])\\.", local.network)) && local.prefix > 0
    docker = try(cidrhost("${split("/", local.network)[0]}/${min(local.prefix, 16)}", 0) == cidrhost("${local.docker}/${min(local.prefix, 16)}", 0), false)
  }
  network_complaints = (
    !contains(local.keys, "admin_network") ? ["admin_network: missing, expected an IPv4 network like 192.168.101.0/24"] :
    !local.network_is.known ? ["admin_network: found ${jsonencode(local.network_is.given)}, expected an IPv4 network like 192.168.101.0/24"] :
    local.prefix > 30 ? ["admin_network: found ${jsonencode(local.network_is.given)}, expected a prefix of at most /30, to have room for machines"] :
    local.network_is.docker ? ["admin_network: found ${jsonencode(local.network_is.given)}, expected another one: Docker's own containers are in ${local.docker}/16 on every machine"] :
    []
  )
  network_is_right = length(local.network_complaints) == 0
  gateway_complaints = !contains(local.keys, "gateway") || local.gateway != null || !local.network_is_right ? [] : [
  "gateway: found ${jsonencode(local.given.gateway)}, expected the router's address in admin_network"]

  machine_complaints = flatten([for at, raw in local.raw : [
    for told in concat(
      [for key in try(keys(raw), []) : ": unknown key \"${key}\", expected ${join(", ", local.known_machine_keys)}" if !contains(local.known_machine_keys, key)],
      can(keys(raw)) ? [] : [": expected a map with name, ip and role"],
      can(regex("^\"", jsonencode(raw.name))) && can(regex(local.name, local.machines[at].name)) ? [] : [
      ".name: ${can(raw.name) ? "found ${jsonencode(raw.name)}" : "missing"}, ${local.a_name}"],
      try(index(local.machines[*].name, local.machines[at].name), at) == at || local.machines[at].name == "" ? [] : [
      ".name: found ${jsonencode(raw.name)}, expected a name of its own: servers[${index(local.machines[*].name, local.machines[at].name)}].name is the same"],
      contains(["server", "worker"], local.machines[at].role) ? [] : [
      ".role: ${can(raw.role) ? "found ${jsonencode(raw.role)}" : "missing"}, expected server or worker"],
      [for key, right in { memory = [512, 16777216, "MiB"], cpus = [1, 1024, "processors"], disk = [1, 65536, "GiB"] } :
        ".${key}: found ${jsonencode(raw[key])}, expected ${right[0]} to ${right[1]} ${right[2]}, as a bare number"
      if can(raw[key]) && !try(can(regex("^[0-9]+$", jsonencode(raw[key]))) && raw[key] >= right[0] && raw[key] <= right[1], false)],
    ) : "servers[${at}]${told}"
  ]])

  ip_complaints = flatten([for at, machine in local.machines : [
    for told in(
      machine.ip == null ? (local.has_join ? [] : ["missing, expected an IPv4 address in admin_network"]) :
      !can(regex("^[0-9.]+$", machine.ip)) || !can(cidrnetmask("${machine.ip}/32")) ? ["found ${jsonencode(machine.ip)}, expected an IPv4 address in admin_network"] :
      !local.network_is_right ? [] :
      cidrhost("${machine.ip}/${local.prefix}", 0) != cidrhost(local.network, 0) ? ["found ${jsonencode(machine.ip)}, expected an address in admin_network, ${local.network}"] :
      contains([cidrhost(local.network, 0), cidrhost(local.network, -1)], machine.ip) ? ["found ${jsonencode(machine.ip)}, expected an address of one machine: this is all of ${local.network}"] :
      machine.ip == local.gateway ? ["found ${jsonencode(machine.ip)}, expected another address: this is the gateway's"] :
      local.gateway == null && machine.ip == cidrhost(local.network, 1) ? ["found ${jsonencode(machine.ip)}, expected another address: the network's first belongs to the host that the machines run on"] :
      index(local.machines[*].ip, machine.ip) < at ? ["found ${jsonencode(machine.ip)}, expected an address of its own: servers[${index(local.machines[*].ip, machine.ip)}].ip is the same"] :
      []
    ) : "servers[${at}].ip: ${told}"
  ]])

  # Asked only of a list without other faults: a server whose role is misspelt is no missing one.
  voters = length(local.servers)
  voter_complaints = (
    length(concat(local.machine_complaints, local.ip_complaints)) > 0 ? [] :
    !contains(local.keys, "servers") ? ["servers: missing, expected a list of machines, each with name, ip and role"] :
    local.voters == 0 ? ["servers: found no machine with role: server, expected at least one machine with role: server, best three"] :
    local.voters > 9 ? ["servers: found ${local.voters} machines with role: server, expected at most 9: more vote slower, and no safer"] :
    local.voters % 2 == 0 ? ["servers: found ${local.voters} machines with role: server, expected an odd number of them: ${local.voters} survive no more losses than ${local.voters - 1}"] :
    []
  )

  complaints = [for told in concat(local.top_complaints, local.network_complaints, local.gateway_complaints, local.machine_complaints, local.ip_complaints, local.voter_complaints) :
  "${local.name_of_list}: ${told}"]

  # No validation of the variables themselves: that would print what it refuses.
  token_form = {
    server = "^(swarmer-server-[0-9a-z]{30,}|(ssm|secretsmanager|guestinfo):\\S+|file:/\\S+)$"
    worker = "^(|swarmer-worker-[0-9a-z]{30,}|(ssm|secretsmanager|guestinfo):\\S+|file:/\\S+)$"
  }
  server_token_is_one = can(regex(local.token_form.server, var.server_token))
  worker_token_is_one = can(regex(local.token_form.worker, var.worker_token))
  worker_token_is_set = nonsensitive(var.worker_token != "")
}
