# The way in for operators. It holds nothing of the cluster: no token, no certificate.

locals {
  has_bastion = var.bastion.kind != "none"
  with_vpn    = var.bastion.kind == "wireguard"
  vpn_prefix  = split("/", var.bastion.network)[1]

  # Its key is made on it, at its first boot, and stays there; its public half is on its console.
  wireguard = <<-EOT
    #cloud-config
    packages: [wireguard-tools, nftables]
    write_files:
      - path: /etc/sysctl.d/90-forward.conf
        content: "net.ipv4.ip_forward = 1\n"
      - path: /etc/wireguard/wg0.conf
        permissions: "0600"
        content: |
          [Interface]
          Address = ${cidrhost(var.bastion.network, 1)}/${local.vpn_prefix}
          ListenPort = 51820
          PostUp = wg set %i private-key /etc/wireguard/private.key
          PostUp = nft add table ip vpn; nft add chain ip vpn out '{ type nat hook postrouting priority 100; }'; nft add rule ip vpn out ip saddr ${var.bastion.network} masquerade
          PostDown = nft delete table ip vpn
    %{~for name, peer in var.bastion.peers}
          # ${name}
          [Peer]
          PublicKey = ${peer.public_key}
          AllowedIPs = ${peer.address}/32
    %{~endfor}
    runcmd:
      - sysctl --system
      - umask 077; [ -s /etc/wireguard/private.key ] || wg genkey > /etc/wireguard/private.key
      - systemctl enable --now wg-quick@wg0
      - echo "wireguard public key $(wg pubkey < /etc/wireguard/private.key)" > /dev/console
  EOT
}

data "aws_ssm_parameter" "bastion" {
  count = local.has_bastion && var.bastion.ami_id == null ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

resource "aws_security_group" "bastion" {
  count       = local.has_bastion ? 1 : 0
  name        = "${local.name}-bastion"
  description = "The bastion of ${local.name}"
  vpc_id      = local.vpc_id
  tags        = merge(var.tags, { Name = "${local.name}-bastion" })
}

resource "aws_security_group_rule" "wireguard" {
  count             = local.with_vpn ? 1 : 0
  security_group_id = aws_security_group.bastion[0].id
  description       = "WireGuard, from bastion.cidrs"
  type              = "ingress"
  protocol          = "udp"
  from_port         = 51820
  to_port           = 51820
  cidr_blocks       = var.bastion.cidrs
}

resource "aws_security_group_rule" "bastion_out" {
  count             = local.has_bastion ? 1 : 0
  security_group_id = aws_security_group.bastion[0].id
  description       = "HTTPS: Session Manager, packages"
  type              = "egress"
  protocol          = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_blocks       = ["0.0.0.0/0"]
}

resource "aws_security_group_rule" "bastion_to_nodes" {
  for_each                 = local.from_bastion
  security_group_id        = aws_security_group.bastion[0].id
  description              = "${each.key}, to nodes"
  type                     = "egress"
  protocol                 = each.value.protocol
  from_port                = each.value.port
  to_port                  = try(each.value.last, each.value.port)
  source_security_group_id = aws_security_group.nodes.id
}

resource "aws_security_group_rule" "bastion_to_balancer" {
  for_each          = { for name, door in local.from_bastion : name => door if var.balancer && contains(door.to, "balancer") }
  security_group_id = aws_security_group.bastion[0].id
  description       = "${each.key}, to the load balancer"
  type              = "egress"
  protocol          = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_blocks       = local.balancer_cidrs
}

resource "aws_iam_role" "bastion" {
  count              = local.has_bastion ? 1 : 0
  name               = "${local.name}-bastion"
  description        = "The bastion of the cluster ${local.name}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "bastion" {
  count      = local.has_bastion ? 1 : 0
  role       = aws_iam_role.bastion[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "bastion" {
  count = local.has_bastion ? 1 : 0
  name  = "${local.name}-bastion"
  role  = aws_iam_role.bastion[0].name
  tags  = var.tags
}

resource "aws_instance" "bastion" {
  count                       = local.has_bastion ? 1 : 0
  ami                         = var.bastion.ami_id != null ? var.bastion.ami_id : data.aws_ssm_parameter.bastion[0].value
  instance_type               = var.bastion.instance_type
  subnet_id                   = local.with_vpn ? try(local.public_ids[0], null) : local.subnet_ids[0]
  vpc_security_group_ids      = [aws_security_group.bastion[0].id]
  iam_instance_profile        = aws_iam_instance_profile.bastion[0].name
  associate_public_ip_address = local.with_vpn ? true : null
  user_data                   = local.with_vpn ? local.wireguard : null
  # cloud-init reads it once: whoever is no peer any more must not stay one.
  user_data_replace_on_change = true
  tags                        = merge(var.tags, { Name = "${local.name}-bastion" })
  volume_tags                 = merge(var.tags, { Name = "${local.name}-bastion" })

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = 8
    encrypted   = true
    kms_key_id  = var.kms_key_arn
  }

  lifecycle {
    # A newer image of Amazon's is no reason to cut operators off.
    ignore_changes = [ami]
    precondition {
      condition     = !local.with_vpn || length(local.public_ids) > 0
      error_message = "vpc.public_subnet_ids: a bastion with WireGuard needs one."
    }
  }
}

# Peers name it in their configuration; it stays when the machine is replaced.
resource "aws_eip" "bastion" {
  count      = local.with_vpn ? 1 : 0
  tags       = merge(var.tags, { Name = "${local.name}-bastion" })
  depends_on = [aws_internet_gateway.here]
}

resource "aws_eip_association" "bastion" {
  count         = local.with_vpn ? 1 : 0
  instance_id   = aws_instance.bastion[0].id
  allocation_id = aws_eip.bastion[0].id
}
