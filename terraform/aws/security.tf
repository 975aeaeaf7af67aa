# Exactly the ports of docs/operations.md, to exactly those who must reach them. Nothing is open to the
# world. The engine's Swarm ports are open among nodes only.

locals {
  among_nodes = merge(
    {
      rpc      = ["tcp", local.ports.rpc]
      registry = ["tcp", local.ports.registry]
    },
    local.with_docker ? {
      swarm         = ["tcp", 2377]
      swarm_gossip  = ["tcp", 7946]
      swarm_gossip2 = ["udp", 7946]
      swarm_overlay = ["udp", 4789]
    } : {},
  )
  for_operators = merge(
    {
      rpc      = ["tcp", local.ports.rpc]
      https    = ["tcp", local.ports.https]
      registry = ["tcp", local.ports.registry]
      dns      = ["udp", local.ports.dns]
      dns_tcp  = ["tcp", local.ports.dns]
    },
    local.with_docker ? { docker = ["tcp", local.ports.docker] } : {},
  )
  for_clients = {
    registry = ["tcp", local.ports.registry]
    dns      = ["udp", local.ports.dns]
    dns_tcp  = ["tcp", local.ports.dns]
  }
  # Its health checks and the resolver's questions come from its subnets.
  for_balancer = {
    rpc      = ["tcp", local.ports.rpc]
    https    = ["tcp", local.ports.https]
    registry = ["tcp", local.ports.registry]
    dns      = ["udp", local.ports.dns]
    dns_tcp  = ["tcp", local.ports.dns]
  }
}

resource "aws_security_group" "nodes" {
  name        = "${local.name}-nodes"
  description = "Swarmer nodes of ${local.name}"
  vpc_id      = local.vpc_id
  tags        = merge(var.tags, { Name = "${local.name}-nodes" })

  lifecycle {
    precondition {
      condition     = alltrue([for id in var.vpc == null ? [] : var.vpc.subnet_ids : try(cidrhost("${split("/", data.aws_subnet.own[id].cidr_block)[0]}/${local.range_prefix}", 0) == cidrhost(local.range, 0), false)])
      error_message = "Not all of vpc.subnet_ids are in admin_network, ${local.range}: nodes would not know their own address."
    }
  }
}

resource "aws_security_group_rule" "among_nodes" {
  for_each          = local.among_nodes
  security_group_id = aws_security_group.nodes.id
  description       = "${each.key}, from nodes"
  type              = "ingress"
  protocol          = each.value[0]
  from_port         = each.value[1]
  to_port           = each.value[1]
  self              = true
}

resource "aws_security_group_rule" "to_nodes" {
  for_each          = local.among_nodes
  security_group_id = aws_security_group.nodes.id
  description       = "${each.key}, to nodes"
  type              = "egress"
  protocol          = each.value[0]
  from_port         = each.value[1]
  to_port           = each.value[1]
  self              = true
}

resource "aws_security_group_rule" "operators" {
  for_each          = length(var.operator_cidrs) > 0 ? local.for_operators : {}
  security_group_id = aws_security_group.nodes.id
  description       = "${each.key}, from operators"
  type              = "ingress"
  protocol          = each.value[0]
  from_port         = each.value[1]
  to_port           = each.value[1]
  cidr_blocks       = var.operator_cidrs
}

resource "aws_security_group_rule" "bastion" {
  for_each                 = local.has_bastion ? local.for_operators : {}
  security_group_id        = aws_security_group.nodes.id
  description              = "${each.key}, from the bastion"
  type                     = "ingress"
  protocol                 = each.value[0]
  from_port                = each.value[1]
  to_port                  = each.value[1]
  source_security_group_id = aws_security_group.bastion[0].id
}

resource "aws_security_group_rule" "clients" {
  for_each          = length(var.client_cidrs) > 0 ? local.for_clients : {}
  security_group_id = aws_security_group.nodes.id
  description       = "${each.key}, from clients"
  type              = "ingress"
  protocol          = each.value[0]
  from_port         = each.value[1]
  to_port           = each.value[1]
  cidr_blocks       = var.client_cidrs
}

resource "aws_security_group_rule" "balancer" {
  for_each          = var.balancer ? local.for_balancer : {}
  security_group_id = aws_security_group.nodes.id
  description       = "${each.key}, from the load balancer"
  type              = "ingress"
  protocol          = each.value[0]
  from_port         = each.value[1]
  to_port           = each.value[1]
  cidr_blocks       = local.balancer_cidrs
}

resource "aws_security_group_rule" "out" {
  for_each          = { for one in var.egress : "${one.protocol}-${one.port}" => one }
  security_group_id = aws_security_group.nodes.id
  description       = "as the variable egress says"
  type              = "egress"
  protocol          = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_blocks       = each.value.cidrs
}
