# Three servers in three zones of one region, in a VPC of their own, from servers.yml.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

# TF_VAR_server_token in the environment; `swarmer token new` prints one.
variable "server_token" {
  type        = string
  sensitive   = true
  description = "The servers' token."
}

module "cluster" {
  source = "../../aws"

  file         = "${path.module}/servers.yml"
  server_token = var.server_token

  # You come in by Session Manager; no port is open to anyone but nodes.
  bastion = { kind = "ssm" }
}

output "join" {
  description = "What nodes find each other by: swarmer discover \"…\""
  value       = module.cluster.join
}

output "bastion" {
  description = "aws ssm start-session --target INSTANCE_ID"
  value       = module.cluster.bastion
}
