# What each machine is told: the same text, byte for byte, as `swarmer cloud-init` renders for it, and
# what `settings` adds at its end.

locals {
  # A machine of an autoscaling group has no name of its own before it starts: its host's will do.
  anonymous = { name = null, role = "worker" }
  told      = merge({ for machine in local.named : machine.name => { name = machine.name, role = machine.role } }, { "" = local.anonymous })

  more = {
    server = merge(var.settings, var.server_settings)
    worker = merge(var.settings, {})
  }
  token = {
    server = var.server_token
    worker = var.worker_token
  }

  swarmer_yaml = { for key, machine in local.told : key => join("\n", concat(
    ["stack: ${local.stack}", "dc: ${local.dc}"],
    machine.name == null ? [] : ["name: ${machine.name}"],
    ["role: ${machine.role}"],
    machine.role == "server" ? ["expect: ${local.voters}"] : [],
    ["admin_network: ${local.network}", "join:"],
    [for source in local.join : can(regex("^[0-9.]+$", source)) ? "  - ${source}" : "  - ${jsonencode(source)}"],
    ["token: ${jsonencode(try(local.token[machine.role], ""))}"],
    try(length(local.more[machine.role]), 0) == 0 ? [] : split("\n", trimspace(yamlencode(local.more[machine.role]))),
  )) }

  user_data = { for key, machine in local.told : key => join("\n", concat(
    ["#cloud-config"],
    machine.name == null ? [] : ["hostname: ${machine.name}"],
    ["manage_etc_hosts: true"],
    length(local.ssh_keys) == 0 ? [] : concat(["ssh_authorized_keys:"], [for one in local.ssh_keys : "  - ${jsonencode(trimspace(one))}"]),
    ["write_files:", "  - path: /etc/swarmer/swarmer.yaml", "    owner: root:root", "    permissions: \"0600\"", "    content: |"],
    [for line in split("\n", local.swarmer_yaml[key]) : "      ${line}"],
    [""],
  )) }
  compressed = { for key, text in local.user_data : key => base64gzip(text) }
  # Base64 says three bytes in four letters.
  largest = nonsensitive(max([for text in local.compressed : length(text)]...)) / 4 * 3

  network_config = { for machine in local.named : machine.name => join("\n", concat(
    ["version: 2", "ethernets:"],
    # What the hypervisor itself gives a machine that has two.
    startswith(local.interface, "eth") && local.interface != "eth0" ? ["  eth0:", "    dhcp4: true"] : [],
    machine.ip == null ? ["  ${local.interface}:", "    dhcp4: true"] : concat(
      ["  ${local.interface}:", "    dhcp4: false", "    addresses: [${machine.ip}/${local.prefix}]"],
      local.gateway == null ? [] : ["    routes:", "      - to: 0.0.0.0/0", "        via: ${local.gateway}"],
      length(local.nameservers) == 0 ? [] : ["    nameservers:", "      addresses: [${join(", ", [for one in local.nameservers : jsonencode(one)])}]"],
    ),
    [""],
  )) }

  meta_data = { for machine in local.named : machine.name => "instance-id: ${local.stack}-${local.dc}-${machine.name}\nlocal-hostname: ${machine.name}\n" }
}
