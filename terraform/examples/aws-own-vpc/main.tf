# In a VPC that is there already, with tokens in Parameter Store: they are in no user-data and in no state.
#
#   swarmer token new | aws ssm put-parameter --type SecureString --name /swarmer/lab/dev/server --value file:///dev/stdin

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

variable "vpc_id" {
  type        = string
  description = "The VPC."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Its private subnets, one in each zone, with a way to AWS' APIs."
}

module "cluster" {
  source = "../../aws"

  cluster = {
    stack         = "lab"
    dc            = "dev"
    admin_network = "10.50.0.0/16"
    servers       = [for number in range(1, 4) : { name = "node-${number}", role = "server" }]
  }
  server_token = "ssm:/swarmer/lab/dev/server"

  vpc            = { id = var.vpc_id, subnet_ids = var.subnet_ids }
  operator_cidrs = ["10.50.0.0/16"]
}

output "join" {
  description = "What nodes find each other by: swarmer discover \"…\""
  value       = module.cluster.join
}
