# Everything on: workers, a key of one's own, a NAT gateway a zone, WireGuard, a load balancer, and Route 53
# Resolver, which sends the VPC's questions for prod.shop to the cluster.

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

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}

locals {
  account = "arn:${data.aws_partition.here.partition}:iam::${data.aws_caller_identity.here.account_id}"
}

# Disks of autoscaling groups are made by their service's role. AWS makes that role with an account's first
# group, which is too late here: aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com
data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Owner"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["${local.account}:root"]
    }
  }
  statement {
    sid       = "Autoscaling"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["${local.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"]
    }
  }
  statement {
    sid       = "AutoscalingGrants"
    actions   = ["kms:CreateGrant"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["${local.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"]
    }
    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

resource "aws_kms_key" "cluster" {
  description             = "Disks and buckets of the cluster shop-prod"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy                  = data.aws_iam_policy_document.key.json
}

module "cluster" {
  source = "../../aws"

  file         = "${path.module}/servers.yml"
  server_token = var.server_token
  worker_token = var.worker_token

  zones         = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  nat           = "per_zone"
  instance_type = { server = "m6i.large", worker = "m6i.xlarge" }
  data_volume   = { iops = 6000, throughput = 250 }
  kms_key_arn   = aws_kms_key.cluster.arn
  workers       = { min = 2, max = 6 }

  # The office's network comes in over a VPN of its own; a monitoring host asks for names.
  operator_cidrs = ["10.8.0.0/24"]
  client_cidrs   = ["10.9.0.0/24"]
  # Whatever containers publish without saying where.
  published = [{ from = 30000, to = 60999 }]
  egress = [
    { protocol = "tcp", port = 443, cidrs = ["0.0.0.0/0"] },
    { protocol = "tcp", port = 5432, cidrs = ["10.9.1.0/24"] },
  ]

  bastion = {
    kind = "wireguard"
    # WireGuard answers nobody whose key it does not know.
    cidrs = ["0.0.0.0/0"]
    peers = { ann = { public_key = "9bXbyvN6VCQKq0Wm0a+BVzqmTG2XKZ6dOYrVnWzWbVc=", address = "10.99.0.2" } }
  }

  balancer       = true
  dns_forwarding = true

  settings = {
    log  = { level = "info", format = "json" }
    meta = { owner = "platform" }
  }

  empty_buckets = true
  tags          = { team = "platform" }
}

output "join" {
  description = "What nodes find each other by: swarmer discover \"…\""
  value       = module.cluster.join
}

output "balancer" {
  description = "Where the cluster always is: swarmer login ADDRESS"
  value       = module.cluster.balancer
}

output "bastion" {
  description = "WireGuard's endpoint, and the peers' addresses; its public key is on the instance's console."
  value       = module.cluster.bastion
}

output "buckets" {
  description = "The buckets."
  value       = module.cluster.buckets
}
