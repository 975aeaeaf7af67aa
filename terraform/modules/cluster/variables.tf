variable "file" {
  type        = string
  default     = null
  description = "A `servers.yml`, the same file that Vagrant and `swarmer cloud-init` read."

  validation {
    condition     = var.file == null || can(file(var.file))
    error_message = "There is no such file that can be read."
  }
  validation {
    condition     = (var.file == null) != (var.cluster == null)
    error_message = "Give either file (a servers.yml) or cluster (the same as a value), not both and not none."
  }
}

variable "cluster" {
  type        = any
  default     = null
  description = "Instead of `file`: what a `servers.yml` says, as an object with the same keys. An unknown key is refused here too, which is why this has no narrower type."
}

variable "server_token" {
  type        = string
  sensitive   = true
  description = "The servers' token: what `swarmer token new` prints, or where the node finds it (`ssm:NAME`, `secretsmanager:NAME`, `guestinfo:KEY`, `file:/path`)."
}

variable "worker_token" {
  type        = string
  default     = ""
  sensitive   = true
  description = "The workers' token: what `swarmer token derive worker` prints, or where the node finds it. Needed if there are workers."
}

variable "join" {
  type        = list(string)
  default     = null
  description = "Where nodes look for servers. Default: what the list says under `join`, else the servers' addresses."

  validation {
    condition     = var.join == null || try(length(var.join) > 0, false)
    error_message = "A list without an entry finds nobody; leave it out to take the servers' addresses."
  }
}

variable "settings" {
  type        = any
  default     = {}
  description = "More of the nodes' one file, the same for all: `dns`, `docker`, `registry`, `log`, `meta`, `listen`, `timing`."

  validation {
    condition     = can(keys(var.settings)) && length(setsubtract(try(keys(var.settings), []), ["dns", "docker", "registry", "log", "meta", "listen", "timing"])) == 0
    error_message = "Known are dns, docker, registry, log, meta, listen and timing; all else of a node's file is made from the list of machines."
  }
}

variable "server_settings" {
  type        = any
  default     = {}
  description = "The same for servers only; a section here stands in place of that in `settings`."

  validation {
    condition     = can(keys(var.server_settings)) && length(setsubtract(try(keys(var.server_settings), []), ["dns", "docker", "registry", "log", "meta", "listen", "timing"])) == 0
    error_message = "Known are dns, docker, registry, log, meta, listen and timing; all else of a node's file is made from the list of machines."
  }
}

variable "user_data_limit" {
  type        = number
  default     = 16384
  description = "How many bytes of compressed user-data a machine can be given. 16 KiB is EC2's limit."

  validation {
    condition     = var.user_data_limit >= 1024
    error_message = "A node's own file takes more than 1 KiB."
  }
}
