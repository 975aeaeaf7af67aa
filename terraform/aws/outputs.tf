output "join" {
  description = "What nodes find each other by; `swarmer discover` understands it too."
  value       = local.own_join

  precondition {
    condition     = alltrue([for one in try(local.list.join, []) : !startswith(one, "provider=aws") || strcontains("${one} ", " tag_key=swarmer ") && strcontains("${one} ", " tag_value=${local.name} ")])
    error_message = "join: a machine of this cluster has the tag swarmer = ${local.name}, and the list looks for another one: provider=aws tag_key=swarmer tag_value=${local.name} is right."
  }
}

output "domain" {
  description = "The cluster's domain: `registry.service.` and this is the registry's name."
  value       = module.cluster.domain
}

output "server_groups" {
  description = "The servers' autoscaling groups, by the servers' names."
  value       = { for name, group in aws_autoscaling_group.server : name => group.name }
}

output "worker_group" {
  description = "The workers' autoscaling group; null if there is none."
  value       = try(aws_autoscaling_group.workers[0].name, null)
}

output "ami_id" {
  description = "The image that the next machine will start from."
  value       = local.ami_id
}

output "vpc_id" {
  description = "The VPC."
  value       = local.vpc_id
}

output "subnet_ids" {
  description = "The nodes' subnets, in the zones' order."
  value       = local.subnet_ids
}

output "security_group_id" {
  description = "The nodes' security group."
  value       = aws_security_group.nodes.id
}

output "balancer" {
  description = "The load balancer's name and addresses; null if there is none."
  value       = var.balancer ? { name = aws_lb.servers[0].dns_name, addresses = local.balancer_addresses } : null
}

output "bastion" {
  description = "The bastion's instance id, and for WireGuard its address and the peers' own; null if there is none."
  value = !local.has_bastion ? null : {
    instance_id = aws_instance.bastion[0].id
    address     = try(aws_eip.bastion[0].public_ip, null)
    peers       = { for name, peer in var.bastion.peers : name => peer.address }
  }
}

output "buckets" {
  description = "The buckets' names: `registry`, `snapshots`."
  value       = { for kind, bucket in aws_s3_bucket.bucket : kind => bucket.id }
}
