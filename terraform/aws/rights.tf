# What a node may ask of AWS: who its peers are, that it has left, its own token, and, a server, its
# bucket. A worker can't read a server's token, nor anyone's user-data but its own.

locals {
  # Where a token is kept is no secret.
  kept = {
    server = try(nonsensitive(regex("^(?:ssm|secretsmanager):.+$", var.server_token)), "")
    worker = try(nonsensitive(regex("^(?:ssm|secretsmanager):.+$", var.worker_token)), "")
  }
  here = "${local.region}:${local.account}"
  roles = { for role, place in local.kept : role => (
    place == "" ? null :
    startswith(place, "ssm:") ? {
      action   = "ssm:GetParameter"
      resource = "arn:${local.partition}:ssm:${local.here}:parameter/${trimprefix(trimprefix(place, "ssm:"), "/")}"
      } : {
      action = "secretsmanager:GetSecretValue"
      # AWS puts six letters of its own behind a secret's name.
      resource = startswith(place, "secretsmanager:arn:") ? trimprefix(place, "secretsmanager:") : "arn:${local.partition}:secretsmanager:${local.here}:secret:${trimprefix(place, "secretsmanager:")}-??????"
    }
  ) }
  group_arns = [for one in concat(keys(local.servers), local.some_work ? ["workers"] : []) :
  "arn:${local.partition}:autoscaling:${local.here}:autoScalingGroup:*:autoScalingGroupName/${local.name}-${one}"]
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "node" {
  for_each = local.roles

  statement {
    sid = "FindPeers"
    # Neither can be narrowed to some resources; they only describe.
    actions   = ["ec2:DescribeInstances", "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLifecycleHooks"]
    resources = ["*"]
  }
  statement {
    sid       = "Leave"
    actions   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
    resources = local.group_arns
  }
  dynamic "statement" {
    for_each = each.value == null ? [] : [each.value]
    content {
      sid       = "ReadToken"
      actions   = [statement.value.action]
      resources = [statement.value.resource]
    }
  }
  dynamic "statement" {
    for_each = each.key == "server" && var.registry_bucket ? [aws_s3_bucket.bucket["registry"].arn] : []
    content {
      sid       = "RegistryBucket"
      actions   = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = each.key == "server" && var.registry_bucket ? [aws_s3_bucket.bucket["registry"].arn] : []
    content {
      sid       = "RegistryObjects"
      actions   = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"]
      resources = ["${statement.value}/*"]
    }
  }
  dynamic "statement" {
    for_each = var.kms_key_arn != null && (each.value != null || (each.key == "server" && var.registry_bucket)) ? [var.kms_key_arn] : []
    content {
      sid       = "UseKey"
      actions   = each.key == "server" && var.registry_bucket ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
      resources = [statement.value]
      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        values   = ["ssm.${local.region}.amazonaws.com", "secretsmanager.${local.region}.amazonaws.com", "s3.${local.region}.amazonaws.com"]
      }
    }
  }
}

resource "aws_iam_role" "node" {
  for_each           = local.roles
  name               = "${local.name}-${each.key}"
  description        = "A ${each.key} of the cluster ${local.name}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "node" {
  for_each = local.roles
  name     = "node"
  role     = aws_iam_role.node[each.key].id
  policy   = data.aws_iam_policy_document.node[each.key].json
}

resource "aws_iam_instance_profile" "node" {
  for_each = local.roles
  name     = "${local.name}-${each.key}"
  role     = aws_iam_role.node[each.key].name
  tags     = var.tags
}
