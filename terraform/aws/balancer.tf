# Addresses that stay when servers are replaced: an internal load balancer, and Route 53 Resolver, which
# sends the VPC's questions for the cluster's domain there.

locals {
  balanced = var.balancer ? {
    rpc      = ["TCP", local.ports.rpc]
    https    = ["TCP", local.ports.https]
    registry = ["TCP", local.ports.registry]
    dns      = ["TCP_UDP", local.ports.dns]
  } : {}
  # The tenth of each of its subnets, which nobody else uses.
  balancer_addresses = var.balancer ? [for cidr in local.balancer_cidrs : cidrhost(cidr, 10)] : []
}

resource "aws_lb" "servers" {
  count                            = var.balancer ? 1 : 0
  name                             = substr("${local.name}-servers", 0, 32)
  internal                         = true
  load_balancer_type               = "network"
  enable_cross_zone_load_balancing = true
  tags                             = var.tags

  dynamic "subnet_mapping" {
    for_each = local.balancer_ids
    content {
      subnet_id            = subnet_mapping.value
      private_ipv4_address = local.balancer_addresses[subnet_mapping.key]
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.balancer_ids) > 0
      error_message = "vpc.balancer_subnet_ids: the load balancer needs at least one subnet, which nobody else uses."
    }
  }
}

resource "aws_lb_target_group" "port" {
  for_each             = local.balanced
  name                 = substr("${local.name}-${each.key}", 0, 32)
  vpc_id               = local.vpc_id
  protocol             = each.value[0]
  port                 = each.value[1]
  target_type          = "instance"
  deregistration_delay = 30
  tags                 = var.tags

  health_check {
    protocol            = "TCP"
    port                = "traffic-port"
    interval            = 10
    healthy_threshold   = 3
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "port" {
  for_each          = local.balanced
  load_balancer_arn = aws_lb.servers[0].arn
  protocol          = each.value[0]
  port              = each.value[1]
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.port[each.key].arn
  }
}

resource "aws_security_group" "resolver" {
  count       = var.dns_forwarding ? 1 : 0
  name        = "${local.name}-resolver"
  description = "Route 53 Resolver asks ${local.name}"
  vpc_id      = local.vpc_id
  tags        = merge(var.tags, { Name = "${local.name}-resolver" })
}

resource "aws_security_group_rule" "resolver" {
  for_each          = toset(var.dns_forwarding ? ["tcp", "udp"] : [])
  security_group_id = aws_security_group.resolver[0].id
  description       = "DNS, to the load balancer"
  type              = "egress"
  protocol          = each.value
  from_port         = local.ports.dns
  to_port           = local.ports.dns
  cidr_blocks       = local.balancer_cidrs
}

resource "aws_route53_resolver_endpoint" "out" {
  count              = var.dns_forwarding ? 1 : 0
  name               = local.name
  direction          = "OUTBOUND"
  security_group_ids = [aws_security_group.resolver[0].id]
  tags               = var.tags

  # It wants two; each costs more than a server.
  dynamic "ip_address" {
    for_each = slice(local.balancer_ids, 0, min(2, length(local.balancer_ids)))
    content {
      subnet_id = ip_address.value
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.balancer_ids) >= 2
      error_message = "dns_forwarding: Route 53 Resolver wants subnets in two zones at least."
    }
  }
}

resource "aws_route53_resolver_rule" "domain" {
  count                = var.dns_forwarding ? 1 : 0
  name                 = local.name
  domain_name          = module.cluster.domain
  rule_type            = "FORWARD"
  resolver_endpoint_id = aws_route53_resolver_endpoint.out[0].id
  tags                 = var.tags

  dynamic "target_ip" {
    for_each = local.balancer_addresses
    content {
      ip   = target_ip.value
      port = local.ports.dns
    }
  }
}

resource "aws_route53_resolver_rule_association" "domain" {
  count            = var.dns_forwarding ? 1 : 0
  name             = local.name
  resolver_rule_id = aws_route53_resolver_rule.domain[0].id
  vpc_id           = local.vpc_id
}
