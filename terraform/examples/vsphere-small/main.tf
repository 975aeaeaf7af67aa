# Three servers in one vCenter, from servers.yml.

terraform {
  required_version = ">= 1.9"

  required_providers {
    vsphere = {
      source = "hashicorp/vsphere"
    }
  }
}

# Whom to ask, and as whom: VSPHERE_SERVER, VSPHERE_USER and VSPHERE_PASSWORD in the environment.
provider "vsphere" {}

# TF_VAR_server_token in the environment; `swarmer token new` prints one.
variable "server_token" {
  type        = string
  sensitive   = true
  description = "The servers' token."
}

module "cluster" {
  source = "../../vsphere"

  file         = "${path.module}/servers.yml"
  server_token = var.server_token

  datacenter      = "DC0"
  compute_cluster = "DC0_C0"
  datastore       = "LocalDS_0"
  networks        = ["VM Network"]
  template        = "swarmer-0.1.0"
}

output "addresses" {
  description = "The servers' addresses: dig @ADDRESS registry.service.DC.STACK"
  value       = module.cluster.addresses
}
