output "machines" {
  description = "The machines by name: `name`, `role`, `ip` (null: not said), `memory` (MiB), `cpus`, `disk` (GiB), and `number`, counted from 0 among those of the same role."
  value = {
    for machine in local.named : machine.name => merge(machine, {
      number = index([for one in local.named : one.name if one.role == machine.role], machine.name)
    })
  }

  precondition {
    condition     = length(local.complaints) == 0
    error_message = join("\n", local.complaints)
  }
  precondition {
    condition     = local.server_token_is_one
    error_message = "server_token: this is no server token; `swarmer token new` prints one. It can also be ssm:NAME, secretsmanager:NAME, guestinfo:KEY or file:/path, where the node itself finds it."
  }
  precondition {
    condition     = local.worker_token_is_one
    error_message = "worker_token: this is no worker token; `swarmer token derive worker` prints the one that belongs to a server token. It can also be ssm:NAME, secretsmanager:NAME, guestinfo:KEY or file:/path, where the node itself finds it."
  }
  precondition {
    condition     = length(local.workers) == 0 || local.worker_token_is_set
    error_message = "worker_token: missing, expected the workers' token, since there are workers; `swarmer token derive worker` prints it."
  }
  precondition {
    condition     = local.largest <= var.user_data_limit
    error_message = "A machine's user-data has ${local.largest} bytes, compressed; there is room for ${var.user_data_limit}. Keep ssh keys and settings few."
  }
}

output "user_data" {
  description = "Each machine's user-data, by its name: a `#cloud-config`. As secret as the token that is in it."
  value       = { for machine in local.named : machine.name => local.user_data[machine.name] }
  sensitive   = true
}

output "user_data_base64gzip" {
  description = "The same, compressed, in base64: for EC2, and for vSphere with the encoding `gzip+base64`."
  value       = { for machine in local.named : machine.name => local.compressed[machine.name] }
  sensitive   = true
}

output "any_worker_user_data_base64gzip" {
  description = "User-data for workers without names of their own (an autoscaling group's): the host's name becomes the node's."
  value       = local.compressed[""]
  sensitive   = true
}

output "meta_data" {
  description = "Each machine's meta-data, by its name, for NoCloud and VMware."
  value       = local.meta_data
}

output "network_config" {
  description = "Each machine's network-config (version 2), by its name: its static address, or DHCP."
  value       = local.network_config
}

output "stack" {
  description = "The cluster's stack."
  value       = local.stack
}

output "dc" {
  description = "The cluster's dc."
  value       = local.dc
}

output "domain" {
  description = "The cluster's domain, `DC.STACK`."
  value       = "${local.dc}.${local.stack}"
}

output "admin_network" {
  description = "The network that the nodes' addresses are in."
  value       = local.network
}

output "interface" {
  description = "Which of a machine's interfaces is in that network."
  value       = local.interface
}

output "expect" {
  description = "How many servers vote."
  value       = local.voters
}
