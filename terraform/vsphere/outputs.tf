output "domain" {
  description = "The cluster's domain: `registry.service.` and this is the registry's name."
  value       = module.cluster.domain
}

output "addresses" {
  description = "The machines' addresses by name, as the list says or as the machines told."
  value       = { for name, machine in local.machines : name => machine.ip != null ? machine.ip : vsphere_virtual_machine.node[name].default_ip_address }
}

output "machines" {
  description = "The machines' ids (managed object references) by name."
  value       = { for name, machine in vsphere_virtual_machine.node : name => machine.moid }
}

output "tag" {
  description = "The tag that all machines have, and its category."
  value       = { category = var.tag_category.name, name = vsphere_tag.here.name }
}
