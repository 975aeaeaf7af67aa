# Exactly the ports of docs/operations.md, to exactly those who must reach them. Nothing is open to the
# world. The engine's Swarm ports are open among nodes only.

locals {
  # Each port of a node, and whom it lets in.
  doors = merge(
    {
      rpc      = { protocol = "tcp", port = local.ports.rpc, to = ["nodes", "operators", "bastion", "balancer"] }
      https    = { protocol = "tcp", port = local.ports.https, to = ["operators", "bastion", "balancer"] }
      registry = { protocol = "tcp", port = local.ports.registry, to = ["nodes", "operators", "bastion", "clients", "balancer"] }
      dns      = { protocol = "udp", port = local.ports.dns, to = ["operators", "bastion", "clients", "balancer"] }
      dns_tcp  = { protocol = "tcp", port = local.ports.dns, to = ["operators", "bastion", "clients", "balancer"] }
    },
    local.with_docker ? {
      docker        = { protocol = "tcp", port = local.ports.docker, to = ["operators", "bastion"] }
      swarm         = { protocol = "tcp", port = 2377, to = ["nodes"] }
      swarm_gossip  = { protocol = "tcp", port = 7946, to = ["nodes"] }
      swarm_gossip2 = { protocol = "udp", port = 7946, to = ["nodes"] }
      swarm_overlay = { protocol = "udp", port = 4789, to = ["nodes"] }
    } : {},
    { for one in var.published : "${one.protocol}-${one.from}" => { protocol = one.protocol, port = one.from, last = one.to, to = ["nodes", "operators", "bastion", "clients"] } },
  )
  # Those who are let in by their networks. The load balancer's health checks and the resolver's questions
  # come from its subnets; all others come through it with their own addresses.
  networks = {
    operators = var.operator_cidrs
    # Operators are let in to more; a rule that is there already is refused.
    clients  = setsubtract(var.client_cidrs, var.operator_cidrs)
    balancer = var.balancer ? local.balancer_cidrs : []
  }
  by_network = merge([for who, cidrs in local.networks : {
    for name, door in local.doors : "${name}-from-${who}" => merge(door, { cidrs = cidrs }) if contains(door.to, who)
  } if length(cidrs) > 0]...)
  among_nodes  = { for name, door in local.doors : name => door if contains(door.to, "nodes") }
  from_bastion = { for name, door in local.doors : name => door if local.has_bastion && contains(door.to, "bastion") }
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
  protocol          = each.value.protocol
  from_port         = each.value.port
  to_port           = try(each.value.last, each.value.port)
  self              = true
}

resource "aws_security_group_rule" "to_nodes" {
  for_each          = local.among_nodes
  security_group_id = aws_security_group.nodes.id
  description       = "${each.key}, to nodes"
  type              = "egress"
  protocol          = each.value.protocol
  from_port         = each.value.port
  to_port           = try(each.value.last, each.value.port)
  self              = true
}

resource "aws_security_group_rule" "by_network" {
  for_each          = local.by_network
  security_group_id = aws_security_group.nodes.id
  description       = replace(each.key, "-", " ")
  type              = "ingress"
  protocol          = each.value.protocol
  from_port         = each.value.port
  to_port           = try(each.value.last, each.value.port)
  cidr_blocks       = each.value.cidrs
}

resource "aws_security_group_rule" "from_bastion" {
  for_each          = local.from_bastion
  security_group_id = aws_security_group.nodes.id
  description       = "${each.key}, from the bastion"
  type              = "ingress"
  protocol          = each.value.protocol
  from_port         = each.value.port
  to_port           = try(each.value.last, each.value.port)
  # By its address: through the load balancer its security group is not seen.
  cidr_blocks = ["${aws_instance.bastion[0].private_ip}/32"]
}

resource "aws_security_group_rule" "out" {
  for_each          = { for one in var.egress : "${one.protocol}-${one.port}" => one.cidrs... }
  security_group_id = aws_security_group.nodes.id
  description       = "as the variable egress says"
  type              = "egress"
  protocol          = split("-", each.key)[0]
  from_port         = tonumber(split("-", each.key)[1])
  to_port           = tonumber(split("-", each.key)[1])
  cidr_blocks       = distinct(flatten(each.value))
}
