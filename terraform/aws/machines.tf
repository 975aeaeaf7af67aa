# Each server has an autoscaling group of its own, of one machine in one zone: its replacement has its
# name and its zone. Workers have one group over all zones.
#
# A new image or new user-data makes a new version of the launch template and replaces no machine; the
# next machine that starts has it.

locals {
  # Nodes look for `swarmer`, which only servers have: nobody needs to find a worker, and one that waits for
  # its token would be taken for a server that can't be asked.
  tags = {
    server = { swarmer = local.name, "swarmer-cluster" = local.name, "swarmer-role" = "server" }
    worker = { "swarmer-cluster" = local.name, "swarmer-role" = "worker" }
  }

  # Terraform waits for all of it, and for EC2.
  leaves_within = "${ceil(var.leave_timeout / 60) + 10}m"

  launch = merge(
    { for name, server in local.servers : name => {
      role      = "server"
      type      = var.instance_type.server
      disk      = server.disk
      user_data = module.cluster.user_data_base64gzip[name]
    } },
    local.some_work ? { "" = {
      role      = "worker"
      type      = var.instance_type.worker
      disk      = max(20, local.in_list[*].disk...)
      user_data = module.cluster.any_worker_user_data_base64gzip
    } } : {},
  )
}

# A machine that ends asks AWS whether it may, so whatever its way there is made of goes after it.
resource "terraform_data" "way_out" {
  input = local.name

  depends_on = [
    aws_iam_role_policy.node,
    aws_route.nodes, aws_route_table_association.nodes, aws_route.public, aws_route_table_association.public,
    aws_security_group_rule.among_nodes, aws_security_group_rule.to_nodes, aws_security_group_rule.out,
  ]
}

resource "aws_launch_template" "node" {
  for_each               = nonsensitive({ for name, launch in local.launch : name => "" })
  name                   = each.key == "" ? "${local.name}-workers" : "${local.name}-${each.key}"
  description            = each.key == "" ? "Workers of ${local.name}" : "The server ${each.key} of ${local.name}"
  update_default_version = true
  image_id               = local.ami_id
  instance_type          = local.launch[each.key].type
  user_data              = local.launch[each.key].user_data
  vpc_security_group_ids = [aws_security_group.nodes.id]
  tags                   = var.tags

  iam_instance_profile {
    arn = aws_iam_instance_profile.node[local.launch[each.key].role].arn
  }

  # Only with a session, and from the host itself: a container on Docker's bridge is one hop further.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_type           = "gp3"
      volume_size           = 8
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      delete_on_termination = true
    }
  }

  # Blank: the node makes it its own at its first boot.
  block_device_mappings {
    device_name = "/dev/xvdb"
    ebs {
      volume_type           = var.data_volume.type
      volume_size           = local.launch[each.key].disk
      iops                  = var.data_volume.iops
      throughput            = var.data_volume.type == "gp3" ? var.data_volume.throughput : null
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]
    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, local.tags[local.launch[each.key].role], { Name = each.key == "" ? "${local.name}-worker" : "${local.name}-${each.key}" })
    }
  }
}

resource "aws_autoscaling_group" "server" {
  for_each            = local.servers
  name                = "${local.name}-${each.key}"
  min_size            = 1
  max_size            = 1
  desired_capacity    = 1
  vpc_zone_identifier = [local.subnet_ids[each.value.number % length(local.subnet_ids)]]
  health_check_type   = "EC2"
  target_group_arns   = [for group in aws_lb_target_group.port : group.arn]

  launch_template {
    id      = aws_launch_template.node[each.key].id
    version = aws_launch_template.node[each.key].latest_version
  }

  # Part of the group, so that it is still there when the group is deleted: then too a node leaves well.
  initial_lifecycle_hook {
    # The name that agents answer to.
    name                 = "swarmer-leave"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = var.leave_timeout
    default_result       = "CONTINUE"
  }

  dynamic "tag" {
    for_each = merge(var.tags, local.tags.server, { Name = "${local.name}-${each.key}" })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  timeouts {
    delete = local.leaves_within
  }

  lifecycle {
    # A list that gets shorter counts its servers anew. Another zone would replace a machine at once, and
    # several where several move; one that is replaced anyway takes its new zone.
    ignore_changes = [vpc_zone_identifier]
  }

  depends_on = [terraform_data.way_out]
}

resource "aws_autoscaling_group" "workers" {
  count               = local.some_work ? 1 : 0
  name                = "${local.name}-workers"
  min_size            = local.workers.min
  max_size            = local.workers.max
  desired_capacity    = local.workers.min
  vpc_zone_identifier = local.subnet_ids
  health_check_type   = "EC2"

  launch_template {
    id      = aws_launch_template.node[""].id
    version = aws_launch_template.node[""].latest_version
  }

  initial_lifecycle_hook {
    # The name that agents answer to.
    name                 = "swarmer-leave"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = var.leave_timeout
    default_result       = "CONTINUE"
  }

  dynamic "tag" {
    for_each = merge(var.tags, local.tags.worker, { Name = "${local.name}-worker" })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    # It is yours, or your scaling policy's, between min and max.
    ignore_changes = [desired_capacity]
  }

  timeouts {
    delete = local.leaves_within
  }

  depends_on = [terraform_data.way_out]
}
