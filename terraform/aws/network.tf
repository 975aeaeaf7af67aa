# A VPC whose nodes have no public address: a subnet for nodes, one for gateways and the bastion, and a
# small one for the load balancer in each zone.

data "aws_availability_zones" "here" {
  state = "available"

  # Not those that one has to ask for, near a city or a telephone mast.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_subnet" "own" {
  for_each = toset(var.vpc == null ? [] : concat(var.vpc.subnet_ids, var.vpc.balancer_subnet_ids))
  id       = each.value
}

locals {
  is_new       = var.vpc == null
  zones        = var.zones != null ? var.zones : slice(data.aws_availability_zones.here.names, 0, min(3, length(data.aws_availability_zones.here.names)))
  range        = module.cluster.admin_network
  range_prefix = tonumber(split("/", local.range)[1])

  # A quarter for the nodes of each zone; the last one is cut up for the rest.
  plan = { for number, zone in local.is_new ? local.zones : [] : zone => {
    number   = number
    nodes    = try(cidrsubnet(local.range, 2, number), "")
    public   = try(cidrsubnet(local.range, 5, 24 + number), "")
    balancer = try(cidrsubnet(local.range, 6, 56 + number), "")
  } }

  vpc_id         = local.is_new ? aws_vpc.here[0].id : var.vpc.id
  subnet_ids     = local.is_new ? [for zone in local.zones : aws_subnet.nodes[zone].id] : var.vpc.subnet_ids
  public_ids     = local.is_new ? [for zone in local.zones : aws_subnet.public[zone].id] : var.vpc.public_subnet_ids
  balancer_ids   = local.is_new ? [for subnet in aws_subnet.balancer : subnet.id] : var.vpc.balancer_subnet_ids
  balancer_cidrs = local.is_new ? [for zone in keys(aws_subnet.balancer) : local.plan[zone].balancer] : [for id in var.vpc.balancer_subnet_ids : data.aws_subnet.own[id].cidr_block]
  gateways       = !local.is_new || var.nat == "none" ? [] : var.nat == "one" ? slice(local.zones, 0, 1) : local.zones
}

resource "aws_vpc" "here" {
  count                = local.is_new ? 1 : 0
  cidr_block           = local.range
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = local.name })

  lifecycle {
    precondition {
      condition     = local.range_prefix >= 16 && local.range_prefix <= 22
      error_message = "admin_network is the VPC's range: ${local.range} has a prefix of /${local.range_prefix}, and /16 to /22 is right."
    }
  }
}

# A clock that needs no way out; nodes take it from DHCP.
resource "aws_vpc_dhcp_options" "here" {
  count               = local.is_new ? 1 : 0
  domain_name_servers = ["AmazonProvidedDNS"]
  ntp_servers         = ["169.254.169.123"]
  tags                = merge(var.tags, { Name = local.name })
}

resource "aws_vpc_dhcp_options_association" "here" {
  count           = local.is_new ? 1 : 0
  vpc_id          = aws_vpc.here[0].id
  dhcp_options_id = aws_vpc_dhcp_options.here[0].id
}

# Nothing uses it; it could not be deleted, and would let all through.
resource "aws_default_security_group" "none" {
  count  = local.is_new ? 1 : 0
  vpc_id = aws_vpc.here[0].id
  tags   = merge(var.tags, { Name = "${local.name}-unused" })
}

resource "aws_internet_gateway" "here" {
  count  = local.is_new ? 1 : 0
  vpc_id = aws_vpc.here[0].id
  tags   = merge(var.tags, { Name = local.name })
}

resource "aws_subnet" "nodes" {
  for_each          = local.plan
  vpc_id            = aws_vpc.here[0].id
  availability_zone = each.key
  cidr_block        = each.value.nodes
  tags              = merge(var.tags, { Name = "${local.name}-nodes-${each.key}" })
}

resource "aws_subnet" "public" {
  for_each          = local.plan
  vpc_id            = aws_vpc.here[0].id
  availability_zone = each.key
  cidr_block        = each.value.public
  tags              = merge(var.tags, { Name = "${local.name}-public-${each.key}" })
}

resource "aws_subnet" "balancer" {
  for_each          = { for zone, plan in local.plan : zone => plan if var.balancer }
  vpc_id            = aws_vpc.here[0].id
  availability_zone = each.key
  cidr_block        = each.value.balancer
  tags              = merge(var.tags, { Name = "${local.name}-balancer-${each.key}" })
}

resource "aws_route_table" "public" {
  count  = local.is_new ? 1 : 0
  vpc_id = aws_vpc.here[0].id
  tags   = merge(var.tags, { Name = "${local.name}-public" })
}

resource "aws_route" "public" {
  count                  = local.is_new ? 1 : 0
  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.here[0].id
}

resource "aws_route_table_association" "public" {
  for_each       = aws_subnet.public
  subnet_id      = each.value.id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_eip" "nat" {
  for_each   = toset(local.gateways)
  tags       = merge(var.tags, { Name = "${local.name}-nat-${each.key}" })
  depends_on = [aws_internet_gateway.here]
}

resource "aws_nat_gateway" "here" {
  for_each      = toset(local.gateways)
  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = merge(var.tags, { Name = "${local.name}-${each.key}" })
  depends_on    = [aws_internet_gateway.here]
}

resource "aws_route_table" "nodes" {
  for_each = local.plan
  vpc_id   = aws_vpc.here[0].id
  tags     = merge(var.tags, { Name = "${local.name}-nodes-${each.key}" })
}

resource "aws_route" "nodes" {
  for_each               = { for zone, plan in local.plan : zone => plan if length(local.gateways) > 0 }
  route_table_id         = aws_route_table.nodes[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.here[var.nat == "per_zone" ? each.key : local.gateways[0]].id
}

resource "aws_route_table_association" "nodes" {
  for_each       = aws_subnet.nodes
  subnet_id      = each.value.id
  route_table_id = aws_route_table.nodes[each.key].id
}

# Costs nothing, and images don't pay the NAT gateway.
resource "aws_vpc_endpoint" "s3" {
  count             = local.is_new ? 1 : 0
  vpc_id            = aws_vpc.here[0].id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for table in aws_route_table.nodes : table.id]
  tags              = merge(var.tags, { Name = "${local.name}-s3" })
}
