terraform {
  # Validations that name other variables.
  required_version = ">= 1.9"
}
