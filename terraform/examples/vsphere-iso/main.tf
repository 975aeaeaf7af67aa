# Machines that boot our ISO from a datastore: no template is needed. To upgrade, upload the next one too, name
# it in iso.path, and replace one machine after the other.

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

variable "uploads" {
  type        = map(string)
  default     = {}
  description = "ISOs that `make iso` made, to be uploaded, by their paths there: { \"swarmer/swarmer-0.1.0.iso\" = \"target/image/image.iso\" }."
}

module "cluster" {
  source = "../../vsphere"

  server_token = var.server_token
  cluster = {
    stack         = "lab"
    dc            = "dev"
    admin_network = "10.40.0.0/24"
    interface     = "eth0"
    gateway       = "10.40.0.1"
    nameservers   = ["10.40.0.2"]
    servers       = [for number in range(1, 4) : { name = "node-${number}", ip = "10.40.0.${10 + number}", role = "server" }]
  }

  datacenter      = "dc"
  compute_cluster = "cluster"
  datastore       = "ssd"
  networks        = ["servers", "storage"]
  iso             = { path = "swarmer/swarmer-0.1.0.iso", uploads = var.uploads }
}

output "addresses" {
  description = "The machines' addresses."
  value       = module.cluster.addresses
}
