# Everything on: servers with addresses of their own, workers by DHCP, two networks, a resource pool and
# a tag category that exist already, and more of the nodes' own settings.

terraform {
  required_version = ">= 1.9"

  required_providers {
    vsphere = {
      source = "hashicorp/vsphere"
    }
  }
}

# VSPHERE_SERVER, VSPHERE_USER and VSPHERE_PASSWORD in the environment.
provider "vsphere" {}

variable "server_token" {
  type        = string
  sensitive   = true
  description = "The servers' token: swarmer token new."
}

variable "worker_token" {
  type        = string
  sensitive   = true
  description = "The workers' token: swarmer token derive worker."
}

module "cluster" {
  source = "../../vsphere"

  file         = "${path.module}/servers.yml"
  server_token = var.server_token
  worker_token = var.worker_token

  datacenter      = "dc"
  compute_cluster = "cluster"
  datastore       = "ssd"
  networks        = ["servers", "storage"]
  template        = "swarmer-0.1.0"
  folder          = "shop-prod"
  resource_pool   = "cluster/Resources/shop"
  tag_category    = { name = "clusters", create = false }

  anti_affinity_mandatory = true
  wait_for_address        = 10

  settings = {
    dns      = { recursors = ["10.30.0.2"] }
    registry = { storage = { filesystem = "/var/lib/swarmer/registry" } }
    log      = { level = "info", format = "json" }
    meta     = { site = "cellar" }
  }

  extra_config = {
    "disk.EnableUUID" = "TRUE"
  }
}

output "addresses" {
  description = "The machines' addresses."
  value       = module.cluster.addresses
}
