# Everything on: servers with addresses of their own, workers by DHCP, discovery by tags, two networks, a
# resource pool and a tag category that exist already, and more of the nodes' own settings.

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

variable "reader_password" {
  type        = string
  sensitive   = true
  description = "Of a vCenter user who may read machines and tags, and nothing else: nodes ask as that one."
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

  discovery          = { host = "vcenter.example.com", thumbprint = "4D:5C:1D:7B:0F:5E:7C:4F:0D:36:6B:66:1E:0F:9A:3A:9B:2D:6C:0E" }
  discovery_user     = "swarmer-reader@vsphere.local"
  discovery_password = var.reader_password

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
