"""What a running gateway can be asked and told: the JSON API, served on the control socket."""
