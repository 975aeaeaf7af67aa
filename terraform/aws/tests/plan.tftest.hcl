# Plans without a cloud: how many of what, and what is refused.

mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c", "eu-central-1d"] }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_ami" {
    defaults = { id = "ami-0123456789abcdef0" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef1" }
  }
}

variables {
  server_token = "swarmer-server-0000000000000000000000000000000000000000"
  worker_token = "swarmer-worker-0000000000000000000000000000000000000000"
  cluster = {
    stack         = "shop"
    dc            = "prod"
    admin_network = "10.20.0.0/16"
    servers = [
      { name = "a", role = "server" },
      { name = "b", role = "server" },
      { name = "c", role = "server" },
      { name = "d", role = "server" },
      { name = "e", role = "server" },
      { name = "w", role = "worker" },
      { name = "x", role = "worker" },
    ]
  }
}

run "servers_are_groups_of_one" {
  command = plan

  assert {
    condition     = length(aws_autoscaling_group.server) == 5 && alltrue([for group in aws_autoscaling_group.server : group.min_size == 1 && group.max_size == 1])
    error_message = "Each server is a group of one machine."
  }
  assert {
    condition     = aws_autoscaling_group.workers[0].max_size == 2
    error_message = "There are as many workers as the list has."
  }
  assert {
    condition     = length(aws_subnet.nodes) == 3 && length(aws_nat_gateway.here) == 1 && length(aws_subnet.balancer) == 0
    error_message = "Three zones, one NAT gateway."
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.node : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "IMDSv2 only, one hop."
  }
  assert {
    condition     = length(aws_security_group_rule.by_network) + length(aws_security_group_rule.from_bastion) == 0
    error_message = "Nobody but nodes is let in unless it is said."
  }
}

run "ports_follow_the_settings" {
  command = plan
  variables {
    settings       = { listen = { rpc = 9300 }, docker = { enabled = false } }
    operator_cidrs = ["10.8.0.0/24"]
  }
  assert {
    condition     = aws_security_group_rule.among_nodes["rpc"].from_port == 9300 && aws_security_group_rule.by_network["rpc-from-operators"].to_port == 9300
    error_message = "A port that is changed is changed in the rules."
  }
  assert {
    condition     = length(aws_security_group_rule.among_nodes) == 2 && !contains(keys(aws_security_group_rule.by_network), "docker-from-operators")
    error_message = "Without Docker its ports are closed."
  }
}

run "no_workers_need_no_token" {
  command = plan
  variables {
    worker_token = ""
    cluster      = { stack = "shop", dc = "prod", admin_network = "10.20.0.0/16", servers = [{ name = "a", role = "server" }] }
  }
  assert {
    condition     = length(aws_autoscaling_group.workers) == 0
    error_message = "There are no workers."
  }
}

run "the_world_is_no_operator" {
  command = plan
  variables {
    operator_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.operator_cidrs]
}

run "wireguard_needs_peers" {
  command = plan
  variables {
    bastion = { kind = "wireguard", cidrs = ["0.0.0.0/0"] }
  }
  expect_failures = [var.bastion]
}

run "forwarding_needs_a_balancer" {
  command = plan
  variables {
    dns_forwarding = true
  }
  expect_failures = [var.dns_forwarding]
}

run "a_network_too_small_for_a_vpc" {
  command = plan
  variables {
    cluster = { stack = "shop", dc = "prod", admin_network = "10.20.0.0/24", servers = [{ name = "a", role = "server" }] }
  }
  expect_failures = [aws_vpc.here]
}

run "own_tags_are_not_ours" {
  command = plan
  variables {
    tags = { swarmer = "other" }
  }
  expect_failures = [var.tags]
}

run "a_token_that_aws_keeps" {
  command = plan
  variables {
    server_token = "ssm:/swarmer/shop/server"
    worker_token = "secretsmanager:shop-worker"
  }
  assert {
    condition     = endswith(local.roles.server.resource, ":parameter/swarmer/shop/server") && endswith(local.roles.worker.resource, ":secret:shop-worker-??????") && local.roles.worker.action == "secretsmanager:GetSecretValue"
    error_message = "Each role may read its own, and only that."
  }
}
